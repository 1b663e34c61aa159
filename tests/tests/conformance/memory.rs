//! How much memory a server has used: what the kernel says of the process that has this data directory.

use std::{fs, path::Path};

/// The most resident memory so far, in bytes.
pub fn peak(data: &Path) -> u64 {
    let data = data.to_string_lossy();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let server = processes.map(|process| process.path()).find(|process| {
        fs::read(process.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*data))
    });
    let status = fs::read_to_string(server.expect("the server runs").join("status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    kibibytes * 1024
}
