//! What a death and another version leave of the disk.

use potok_node::core::{Deployed, Save};
use serde_json::{Value, json};

use super::Disk;
use crate::world::Sabotage;

impl Disk {
    /// The node dies in the middle of a commit. When the disk is opened again, what there is of it is taken back.
    pub fn tear(&mut self, save: &Save, deployed: &Deployed) {
        let before = self.clone();
        let mut half = save.clone();
        half.entries.truncate(save.entries.len() / 2);
        half.emits.clear();
        half.messages.clear();
        half.listening.clear();
        // A store may refuse it, as it would refuse the whole.
        let _ = self.write(&half, deployed);
        if self.without != Some(Sabotage::Atomicity) {
            *self = before;
        }
    }

    /// The version that comes next can use none of the snapshots that are there.
    pub fn outdate(&mut self) {
        for (_, text) in self.runs.values_mut().filter_map(|record| record.snapshot.as_mut()) {
            let mut kept: Value = serde_json::from_str(text).unwrap();
            kept["machine"]["version"] = json!(0);
            *text = kept.to_string();
        }
    }
}
