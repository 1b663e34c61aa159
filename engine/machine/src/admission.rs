//! What a run needs before it begins, when its workflow limits how many there are at once.

pub use potok_dsl::model::OnConflict;

/// A place among the runs of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What shares the places: a hash of workflow and key.
    pub group: String,
    /// How many runs of the group there are at once.
    pub limit: u32,
    /// What happens when there is no place.
    pub on_conflict: OnConflict,
}
