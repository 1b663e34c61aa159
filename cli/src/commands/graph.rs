//! `potok graph`: a workflow as a Mermaid flowchart.

use std::path::Path;

use super::read_workflow;
use crate::exit::{COMPLETED, Failure};

pub fn graph(file: &Path) -> Result<u8, Failure> {
    let text = read_workflow(file)?;
    let parsed = potok_dsl::parse(&file.display().to_string(), &text).map_err(|e| Failure::Invalid(e.to_string()))?;
    crate::say!("{}", potok_dsl::graph(&parsed.workflow).trim_end());
    Ok(COMPLETED)
}
