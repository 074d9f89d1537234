//! A teacher on several devices: a thread for each, with its share of every batch.

use super::checkpoint::Record;
use super::device::TrainingDevice;
use super::fault::{Fault, caught, of_device, reason};
use crate::recipe::{Recipe, TrainNetwork};
use crate::teaching::{
    Batch, Exchange, Gradients, Iteration, ReplicaFailed, Report, Share, Teacher, TeachingError,
};
use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The replicas of a teacher. The first one runs on the caller's thread, and is the one that is measured,
/// recorded and exported; the others follow it.
pub struct Replicas {
    first: Teacher,
    others: Vec<Sender<Command>>,
    exchange: Option<Arc<ThreadExchange>>,
    device: String,
}

/// What the other replicas are asked to do.
enum Command {
    Step(Arc<Batch>),
    Restore(Arc<Record>),
}

impl Replicas {
    /// A replica of the teacher of `recipe` on each of `devices`.
    ///
    /// # Errors
    /// If the recipe does not pass its checks, its batch cannot be split over so many devices, or a device
    /// fails.
    pub fn new(recipe: &Recipe, devices: &[TrainingDevice], seed: u64) -> Result<Replicas> {
        let Some((first, rest)) = devices.split_first() else { anyhow::bail!("there is no device") };
        let batch = recipe.teaching.batch;
        if rest.is_empty() {
            let teacher = replica(recipe, first, Share::whole(batch), seed)?;
            return Ok(Replicas { first: teacher, others: Vec::new(), exchange: None, device: first.name() });
        }
        check_shares(recipe, devices.len())?;
        let exchange = Arc::new(ThreadExchange::new(devices.len()));
        let mut shares = Share::split(batch, devices.len()).into_iter().enumerate().map(|(rank, rows)| {
            Share::of(rows, batch, Box::new(Place { rank, exchange: Arc::clone(&exchange) }))
        });
        let own = shares.next();
        let (ready, made) = channel();
        let others = rest.iter().zip(shares).enumerate().map(|(i, (device, share))| {
            let (sender, commands) = channel();
            let (recipe, device) = (recipe.clone(), device.clone());
            let (exchange, ready) = (Arc::clone(&exchange), ready.clone());
            let thread = std::thread::Builder::new().name(format!("replica {}", i + 1));
            thread.spawn(move || {
                let make = || replica(&recipe, &device, share, seed);
                follow(make, &device.name(), &ready, &commands, &exchange);
            })?;
            Ok(sender)
        });
        let others = others.collect::<Result<Vec<_>>>()?;
        drop(ready);
        let own = own.unwrap_or_else(|| Share::whole(batch));
        let teacher = replica(recipe, first, own, seed)?;
        // What is wrong with the recipe on one of the devices is found before anything begins.
        for _ in &others {
            made.recv().map_err(|_| ReplicaFailed)??;
        }
        Ok(Replicas { first: teacher, others, exchange: Some(exchange), device: first.name() })
    }

    /// The first replica.
    pub fn first(&self) -> &Teacher {
        &self.first
    }

    /// The first replica, to be changed: what changes its state must be followed by
    /// [`Replicas::follow_first`].
    pub fn first_mut(&mut self) -> &mut Teacher {
        &mut self.first
    }

    /// One iteration of all replicas.
    ///
    /// # Errors
    /// If the batch has another size, or any device fails.
    pub fn step(&mut self, batch: Batch) -> Result<Report> {
        Ok(self.iterate(batch, Gradients::Drop)?.report)
    }

    /// Run one iteration as [`Replicas::step`] does, and return also what the first replica has computed on its way.
    ///
    /// # Errors
    /// As [`Replicas::step`].
    pub fn iterate(&mut self, batch: Batch, keep: Gradients) -> Result<Iteration> {
        let batch = Arc::new(batch);
        self.tell(|| Command::Step(Arc::clone(&batch)));
        Ok(pollster::block_on(self.first.iterate(&batch, keep))?)
    }

    /// Let the other replicas take over `record`, the first one's state. Where devices round differently, this is also
    /// where they are brought together again.
    pub fn follow_first(&self, record: &Arc<Record>) {
        self.tell(|| Command::Restore(Arc::clone(record)));
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for other in &self.others {
            // One that has ended has said why at the exchange, where the next iteration finds it.
            let _ = other.send(command());
        }
    }

    /// The device that has failed, if `error` comes from one.
    pub fn fault(&self, error: &anyhow::Error) -> Option<Fault> {
        let of_other = self.exchange.as_ref().and_then(|exchange| exchange.state().fault.clone());
        let own = || Fault { device: self.device.clone(), reason: reason(error) };
        of_other.or_else(|| of_device(error).then(own))
    }
}

impl Drop for Replicas {
    /// Tells the others, which must not wait for a first replica that is gone.
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.end(None);
        }
    }
}

fn replica(
    recipe: &Recipe,
    device: &TrainingDevice,
    share: Share,
    seed: u64,
) -> Result<Teacher, TeachingError> {
    Teacher::replica(recipe, &device.parameters, device.chains(), share, seed)
}

fn check_shares(recipe: &Recipe, devices: usize) -> Result<()> {
    let batch = recipe.teaching.batch;
    ensure!(batch >= devices, "teaching.batch is {batch}: it cannot be shared by {devices} devices");
    let networks = [&recipe.generator, &recipe.encoder];
    let normalises = networks.into_iter().flatten().any(TrainNetwork::has_batch_norm);
    ensure!(
        !normalises || batch / devices >= 2,
        "teaching.batch is {batch}: batch_norm layers need at least 2 rows on each of {devices} devices"
    );
    Ok(())
}

/// The thread of one of the other replicas: makes it, says how that went, and runs the first one's commands.
fn follow(
    make: impl FnOnce() -> Result<Teacher, TeachingError>,
    device: &str,
    ready: &Sender<Result<()>>,
    commands: &Receiver<Command>,
    exchange: &ThreadExchange,
) {
    let run_commands = || -> Result<(), TeachingError> {
        let teacher = match make() {
            Ok(teacher) => teacher,
            Err(error) => {
                let _ = ready.send(Err(error.into()));
                return Ok(());
            }
        };
        let _ = ready.send(Ok(()));
        // Never dropped after a failure: there may be nothing left to free, and no one to answer.
        let mut teacher = ManuallyDrop::new(teacher);
        for command in commands {
            match command {
                // The report is of the whole batch, and the first one's.
                Command::Step(batch) => teacher.step(&batch).map(|_| ())?,
                Command::Restore(record) => teacher.restore(&record)?,
            }
        }
        drop(ManuallyDrop::into_inner(teacher));
        Ok(())
    };
    let said = match caught(run_commands) {
        // The first replica has gone.
        Ok(Ok(()) | Err(TeachingError::ReplicaFailed(_))) => return,
        Ok(Err(error)) => reason(&error.into()),
        Err(panic) => panic,
    };
    let fault = Fault { device: device.into(), reason: said };
    exchange.end(Some(fault.clone()));
    let _ = ready.send(Err(fault.into()));
}

/// Where the replicas' threads wait for each other.
struct ThreadExchange {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What each replica has brought for this round.
    brought: Vec<Option<Tensor<1>>>,
    /// Once all have: their sum, and how many have yet to take it.
    sum: Option<(Tensor<1>, usize)>,
    ended: bool,
    fault: Option<Fault>,
}

impl ThreadExchange {
    fn new(replicas: usize) -> ThreadExchange {
        let state = State { brought: vec![None; replicas], sum: None, ended: false, fault: None };
        ThreadExchange { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One replica has ended; nobody shall wait for it.
    fn end(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.ended = true;
        if state.fault.is_none() {
            state.fault = fault;
        }
        self.changed.notify_all();
    }

    /// Wait until `ready`.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, ReplicaFailed> {
        let waiting = |state: &mut State| !state.ended && !ready(state);
        let state = self.changed.wait_while(self.state(), waiting).unwrap_or_else(PoisonError::into_inner);
        if state.ended { Err(ReplicaFailed) } else { Ok(state) }
    }
}

/// A replica's place at the exchange.
struct Place {
    rank: usize,
    exchange: Arc<ThreadExchange>,
}

impl Exchange for Place {
    fn sum(&self, mine: Tensor<1>) -> Result<Tensor<1>, ReplicaFailed> {
        // The last round's sum may be waiting for someone still.
        let mut state = self.exchange.wait(|state| state.sum.is_none())?;
        state.brought[self.rank] = Some(mine);
        if state.brought.iter().all(Option::is_some) {
            // In the order of their ranks, so that a run can be repeated.
            let all = std::mem::take(&mut state.brought);
            state.brought = vec![None; all.len()];
            let replicas = all.len();
            let sum = all.into_iter().flatten().reduce(|a, b| a + b).ok_or(ReplicaFailed)?;
            state.sum = Some((sum, replicas));
            self.exchange.changed.notify_all();
        }
        drop(state);
        let mut state = self.exchange.wait(|state| state.sum.is_some())?;
        let Some((sum, left)) = state.sum.take() else { return Err(ReplicaFailed) };
        if left > 1 {
            state.sum = Some((sum.clone(), left - 1));
        } else {
            self.exchange.changed.notify_all();
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn place(rank: usize, exchange: &Arc<ThreadExchange>) -> Place {
        Place { rank, exchange: Arc::clone(exchange) }
    }

    #[test]
    fn every_round_is_the_sum_of_its_own() {
        let exchange = Arc::new(ThreadExchange::new(3));
        let threads: Vec<_> = (0..3)
            .map(|rank| {
                let place = place(rank, &exchange);
                std::thread::spawn(move || {
                    for round in 0..200 {
                        let mine = Tensor::from_floats([rank as f32, round as f32], &Device::flex());
                        let sum = place.sum(mine).unwrap().try_into_vec_as::<f32>().unwrap();
                        assert_eq!(sum, [3.0, 3.0 * round as f32]);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn nobody_waits_for_one_that_has_ended() {
        let exchange = Arc::new(ThreadExchange::new(2));
        let waiting = place(0, &exchange);
        let thread =
            std::thread::spawn(move || waiting.sum(Tensor::from_floats([1.0], &Device::flex())).map(|_| ()));
        let fault = Fault { device: "the other".into(), reason: "gone".into() };
        exchange.end(Some(fault));
        assert_eq!(thread.join().unwrap(), Err(ReplicaFailed));
        assert_eq!(exchange.state().fault.as_ref().unwrap().device, "the other");
    }
}
