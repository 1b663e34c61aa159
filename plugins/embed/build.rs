//! Builds the guests and lays their components, compressed, beside a table of them into `OUT_DIR`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest, Sha256};

/// What the binary ships, by the name of the plugin and of the file that the build gives.
const SHIPPED: &[(&str, &str)] = &[
    ("book", "book"),
    ("text", "text"),
    ("time", "time"),
    ("content", "content"),
    ("telegram", "telegram"),
];
/// The evaluator of jq.
const JQ: (&str, &str) = ("jq", "potok_jq");
/// What tests and measurements use.
const FIXTURES: &[(&str, &str)] = &[
    ("demo", "fixture_demo"),
    ("count", "fixture_count"),
    ("durable", "fixture_durable"),
    ("ungranted", "fixture_ungranted"),
];

/// Small enough for the binary, fast enough for every build.
const LEVEL: i32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let plugins = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .join("..")
        .canonicalize()?;
    watch(&plugins)?;
    let components = build(&plugins)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let entry = |guest: &(&str, &str)| compress(guest, &components, &out);
    let mut table = format!("static JQ: Component = {};\n", entry(&JQ)?);
    for (constant, guests) in [("SHIPPED", SHIPPED), ("FIXTURES", FIXTURES)] {
        writeln!(table, "static {constant}: &[Component] = &[")?;
        for guest in guests {
            writeln!(table, "    {},", entry(guest)?)?;
        }
        writeln!(table, "];")?;
    }
    fs::write(out.join("components.rs"), table)?;
    Ok(())
}

/// Compresses a component; gives the expression that stands for it.
fn compress((name, file): &(&str, &str), components: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let bytes = fs::read(components.join(format!("{file}.wasm")))
        .map_err(|e| format!("the guest {name} was not built: {file}.wasm: {e}"))?;
    fs::write(
        out.join(format!("{file}.zst")),
        zstd::encode_all(bytes.as_slice(), LEVEL)?,
    )?;
    let (size, include) = (
        bytes.len(),
        format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}.zst\"))"),
    );
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!(
        "Component {{ name: {name:?}, size: {size}, hash: {hash:?}, bytes_compressed: {include} }}"
    ))
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
    let directory = text
        .lines()
        .last()
        .ok_or("plugins/build.sh did not say where the components are")?;
    Ok(PathBuf::from(directory))
}
