//! Builds the guests and lays their components, compressed, beside a table of them into `OUT_DIR`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the binary ships, by the name of the plugin and of the file that the build gives.
const SHIPPED: &[(&str, &str)] = &[];
/// What tests and measurements use.
const FIXTURES: &[(&str, &str)] =
    &[("demo", "fixture_demo"), ("count", "fixture_count"), ("ungranted", "fixture_ungranted")];

/// Small enough for the binary, fast enough for every build.
const LEVEL: i32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let plugins = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    watch(&plugins)?;
    let components = build(&plugins)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut table = String::new();
    for (constant, guests) in [("SHIPPED", SHIPPED), ("FIXTURES", FIXTURES)] {
        writeln!(table, "static {constant}: &[Component] = &[")?;
        for (name, file) in guests {
            let bytes = fs::read(components.join(format!("{file}.wasm")))
                .map_err(|e| format!("the guest {name} was not built: {file}.wasm: {e}"))?;
            fs::write(out.join(format!("{file}.zst")), zstd::encode_all(bytes.as_slice(), LEVEL)?)?;
            writeln!(
                table,
                "    Component {{ name: {name:?}, size: {}, bytes_compressed: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}.zst\")) }},",
                bytes.len()
            )?;
        }
        writeln!(table, "];")?;
    }
    fs::write(out.join("components.rs"), table)?;
    Ok(())
}

/// Builds again when anything changes that the guests are made from.
fn watch(plugins: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=POTOK_GUEST_TARGET_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    for entry in fs::read_dir(plugins)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != "embed" && name != "target" {
            println!("cargo::rerun-if-changed={}", entry.path().display());
        }
    }
    Ok(())
}

/// Runs the build of the guests; gives the directory with the components.
fn build(plugins: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new("bash")
        .arg(plugins.join("build.sh"))
        .output()
        .map_err(|e| format!("plugins/build.sh cannot be run: {e}; it needs bash"))?;
    if !output.status.success() {
        return Err(format!("plugins/build.sh failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let directory = text.lines().last().ok_or("plugins/build.sh did not say where the components are")?;
    Ok(PathBuf::from(directory))
}
