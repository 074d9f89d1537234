//! A folder of one's own images, from the import to the figures of the model.

use super::{Sandbox, array, check_failure, metrics, recipes, write_array};
use image::{Rgb, RgbImage};

/// Discs of many colours, sizes and places.
fn photos(sandbox: &Sandbox, count: u32) {
    std::fs::create_dir(sandbox.path("photos")).unwrap();
    for i in 0..count {
        let image = RgbImage::from_fn(44, 36, |x, y| {
            let (dx, dy) = (x as f32 - 14.0 - (i % 16) as f32, y as f32 - 10.0 - (i % 7) as f32);
            let inside = dx * dx + dy * dy < (6 + i % 5).pow(2) as f32;
            Rgb(if inside { [255 - 9 * i as u8, 80, 10 * i as u8] } else { [20, 5 * i as u8, 60] })
        });
        image.save(sandbox.path("photos").join(format!("{i:02}.png"))).unwrap();
    }
}

#[test]
fn a_folder_of_images_becomes_a_model_and_its_report() {
    let sandbox = Sandbox::new();
    photos(&sandbox, 24);
    sandbox.run("data import photos --size 32 --out photos.npy --strict");
    let (shape, values) = array(&sandbox.path("photos.npy"));
    assert_eq!(shape, [24, 3, 32, 32]);

    // Batch norm, spectral norm, and two batches an epoch.
    let train = format!(
        "train {} --device cpu --set teaching.batch=8 --set x_chain.steps=2 --set z_chain.steps=2 \
         --set export.statistics_batches=1 --set schedule.iterations=5",
        recipes().join("images.toml").display()
    );
    sandbox.run(&format!("{train} --data photos.npy --out whole --steps 5 --checkpoint-every 4"));
    sandbox.run(&format!("{train} --data photos.npy --out parts --steps 3"));
    let told = metrics(&sandbox.path("whole/metrics.jsonl"));
    // The folder itself, with what is no image of it.
    std::fs::create_dir(sandbox.path("photos/holiday")).unwrap();
    std::fs::write(sandbox.path("photos/beach.heic"), "").unwrap();
    let said = sandbox.run(&format!("{train} --data photos --out folder --steps 3"));
    assert!(said.contains("1 file of other kinds (.heic) and 1 subfolder"), "{said}");
    assert_eq!(told[..3], metrics(&sandbox.path("folder/metrics.jsonl")));
    assert_eq!(told[..3], metrics(&sandbox.path("parts/metrics.jsonl")));
    sandbox.run(&format!("{train} --data photos.npy --out parts --steps 5 --resume"));
    assert_eq!(told, metrics(&sandbox.path("parts/metrics.jsonl")));
    let model = |run: &str| {
        let bytes = std::fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
        let model = dual_mcmc::model::Model::from_bytes(&bytes).unwrap();
        (model.energy, model.generator, model.encoder, model.energy_quantiles)
    };
    assert_eq!(model("whole"), model("parts"));

    // The report holds both grids, and they are what its captions say.
    let page = std::fs::read_to_string(sandbox.path("whole/report.html")).unwrap();
    for part in [
        "samples at iteration 5",
        "Held-out data, the generator's samples, the same after the x-chain.",
        "reconstructions at iteration 5",
        "Held-out data, the encoder's guess, after the z-chain.",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    let picture = |name: &str| image::open(sandbox.path(name)).unwrap().into_rgb8();
    write_array(&sandbox.path("held-out.npy"), &[2, 3, 32, 32], &values[22 * 3072..]);
    let model = "whole/model.safetensors";
    sandbox.run(&format!("sample {model} --out before.png --count 64 --steps 0 --device cpu"));
    sandbox.run(&format!("sample {model} --out after.png --count 64 --device cpu"));
    sandbox.run(&format!("reconstruct {model} --input held-out.npy --out back.png --device cpu"));
    let (grid, before, after) =
        (picture("whole/samples/0000005.png"), picture("before.png"), picture("after.png"));
    let panel = |nth: u32| {
        let left = grid.width() - (3 - nth) * before.width() - (2 - nth) * 8;
        image::imageops::crop_imm(&grid, left, 0, before.width(), before.height()).to_image()
    };
    assert!(before != after && panel(1) == before && panel(2) == after);
    // Left of them the two held-out images: three pixels for one, and a frame of two.
    assert_eq!(grid.width(), 2 * before.width() + 16 + 2 * 98 + 2);
    let byte = |v: f32| ((v + 1.0) * 127.5).round() as u8;
    let first = [0, 1024, 2048].map(|channel| byte(values[22 * 3072 + channel]));
    assert_eq!(grid.get_pixel(2, 2).0, first);
    assert_eq!(picture("whole/reconstructions/0000005.png"), picture("back.png"));

    sandbox.run(&format!("evaluate {model} --data photos.npy --count 12 --device cpu --json e.json"));
    let figures: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("e.json")).unwrap()).unwrap();
    for (of, figure) in [
        ("frechet_64_components", "generator"),
        ("frechet_64_components", "x_chain"),
        ("reconstruction", "mean_squared_error_of_the_encoder"),
        ("reconstruction", "mean_squared_error_after_the_z_chain"),
        ("reconstruction", "psnr_after_the_z_chain"),
        ("inpainting", "mean_squared_error_of_the_encoder"),
        ("inpainting", "mean_squared_error_of_the_mean_of_8_posterior_samples"),
        ("auroc_of_the_energy", "uniform_noise"),
        ("long_run_drift", "displacement_after_10_times_the_steps"),
    ] {
        assert!(figures[of][figure].as_f64().is_some_and(|v| v >= 0.0), "{of} {figure}: {figures}");
    }
}

#[test]
fn images_are_imported_in_grey_too() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("red")).unwrap();
    RgbImage::from_pixel(40, 40, Rgb([255, 0, 0])).save(sandbox.path("red/a.png")).unwrap();
    sandbox.run("data import red --size 16 --channels 1 --out grey.npy");
    let (shape, values) = array(&sandbox.path("grey.npy"));
    assert_eq!(shape, [1, 1, 16, 16]);
    // Rec. 709 gives red 0.2126 of the light.
    assert!(values.iter().all(|v| (v - (2.0 * 0.2126 - 1.0)).abs() < 0.01), "{}", values[0]);
    let line = "data import red --size 16 --channels 2 --out two.npy";
    check_failure(line, &sandbox.command(line).output().unwrap(), "1 or 3 channels");
}
