/** A training run in a worker: what is asked of it, what it tells, and what is known of it so far. */
import { newTeacher, VERSION } from './code.js';

export class Run {
  #worker;
  #next = 1;
  #waiting = new Map();
  #begins = 0;
  history = { report: [], figures: [] };
  news = {};
  points = null;
  broken = null;

  constructor(module, hear) {
    this.#worker = newTeacher();
    this.#worker.onmessage = ({ data: { number, value, error, broken } }) => {
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (broken) this.#fail(error);
      // What an earlier run still had to say is no news.
      if (number === 0 && this.#begins) return;
      if (number === 0) {
        this.#take(value);
        hear(this, value, error);
      } else if (error) waiting?.reject(new Error(error));
      else waiting?.resolve(value);
    };
    this.#worker.onerror = (event) => this.#fail(event.message || 'its worker could not be started');
    this.#worker.onmessageerror = () => this.#fail('a message could not be read');
    this.hear = hear;
    this.ready = this.#send({ module, version: VERSION });
  }

  #send(message) {
    if (this.broken) return Promise.reject(new Error(this.broken));
    return new Promise((resolve, reject) => {
      const number = this.#next;
      this.#next += 1;
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ ...message, number });
    });
  }

  #fail(reason) {
    this.broken ??= `The trainer has stopped: ${reason}`;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error(this.broken));
    this.#waiting.clear();
    this.hear(this, null, this.broken);
  }

  /** Take in news, so that all of what is known is in one place. */
  #take(value) {
    if (!value?.frame) return;
    const back = value.wentBack?.to;
    if (back !== undefined) {
      this.history.report = this.history.report.filter(({ iteration }) => iteration <= back);
      this.history.figures = this.history.figures.filter(({ iteration }) => iteration <= back);
    }
    this.history.report.push(...value.reports ?? []);
    if (this.history.report.length > 1200) this.history.report = this.history.report.filter((_, i) => i % 2);
    if (value.figures) {
      const iteration = value.frame.iteration, last = this.history.figures.at(-1);
      if (last?.iteration === iteration) this.history.figures.pop();
      this.history.figures.push({ iteration, seconds: value.seconds, ...value.figures });
    }
    this.news = { ...this.news, ...value, phase: value.phase ?? null, wentBack: value.wentBack ?? this.news.wentBack };
  }

  async ask(ask, values = {}) {
    const value = await this.#send({ ask, ...values });
    this.#take(value);
    return value;
  }

  async begin(settings, points, map) {
    this.#begins += 1;
    this.history = { report: [], figures: [] };
    this.news = {};
    try {
      const begun = await this.ask('begin', { settings, points, map });
      this.points = begun.points;
      this.recipe = begun.recipe;
    } finally {
      this.#begins -= 1;
    }
  }

  end() {
    this.broken ??= 'The figure is no longer on the page.';
    for (const { reject } of this.#waiting.values()) reject(new Error(this.broken));
    this.#worker.terminate();
  }
}
