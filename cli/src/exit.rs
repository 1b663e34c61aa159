//! Exit codes, and how a failure is told: the problem as JSON on stderr where a program may read it, a sentence where a person does.

use potok_dsl::Problem;

/// The run completed.
pub const COMPLETED: u8 = 0;
/// The run faulted; or the command failed for a reason outside the command line.
pub const FAULTED: u8 = 1;
/// The definition is not valid.
pub const INVALID: u8 = 2;
/// The command line or the input is not usable.
pub const USAGE: u8 = 3;
/// The run was cancelled.
pub const CANCELLED: u8 = 4;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the input is not usable.
    Usage(String),
    /// The definition is not valid: the rendered diagnostics.
    Invalid(String),
    /// Something faulted.
    Problem(Box<Problem>),
    /// Something else stood against it.
    Other(String),
}

impl Failure {
    /// Says it on stderr and gives the exit code.
    pub fn report(&self) -> u8 {
        match self {
            Self::Usage(message) => {
                eprintln!("potok: {message}");
                USAGE
            }
            Self::Invalid(diagnostics) => {
                eprintln!("{}", diagnostics.trim_end());
                INVALID
            }
            Self::Problem(problem) => {
                eprintln!(
                    "{}",
                    serde_json::to_string_pretty(problem).unwrap_or_else(|_| problem.to_string())
                );
                FAULTED
            }
            Self::Other(message) => {
                eprintln!("potok: {message}");
                FAULTED
            }
        }
    }
}

impl From<potok_node::NodeError> for Failure {
    fn from(error: potok_node::NodeError) -> Self {
        match error {
            potok_node::NodeError::Invalid(problem) => Self::Problem(Box::new(problem)),
            potok_node::NodeError::NotFound { .. } => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<potok_node::deploy::DeployError> for Failure {
    fn from(error: potok_node::deploy::DeployError) -> Self {
        match error {
            potok_node::deploy::DeployError::Invalid(diagnostics) => Self::Invalid(diagnostics.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}
