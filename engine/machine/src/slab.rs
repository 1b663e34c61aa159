//! Where frames live: places that are used again, under names that are not.

use std::{cmp::Reverse, collections::BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::frame::{Block, Frame, FrameId, Task};

/// All frames.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    try_from = "Image<V>",
    into = "Image<V>",
    bound(serialize = "V: Clone + Serialize", deserialize = "V: Deserialize<'de>")
)]
pub(crate) struct Slab<V> {
    slots: Vec<Option<(u64, Frame<V>)>>,
    /// Free places, the lowest first: where a frame goes depends on what is open alone. Places beyond `slots` are forgotten.
    free: BinaryHeap<Reverse<u32>>,
    serial: u64,
}

impl<V: PartialEq> PartialEq for Slab<V> {
    fn eq(&self, other: &Self) -> bool {
        self.slots == other.slots && self.serial == other.serial
    }
}

impl<V> Slab<V> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: BinaryHeap::new(),
            serial: 0,
        }
    }

    pub(crate) fn insert(&mut self, frame: Frame<V>) -> FrameId {
        self.serial += 1;
        let serial = self.serial;
        match self.free.pop() {
            Some(Reverse(index)) if (index as usize) < self.slots.len() => {
                self.slots[index as usize] = Some((serial, frame));
                FrameId { index, serial }
            }
            _ => {
                self.free.clear();
                self.slots.push(Some((serial, frame)));
                FrameId {
                    index: u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX),
                    serial,
                }
            }
        }
    }

    pub(crate) fn get(&self, id: FrameId) -> Option<&Frame<V>> {
        match self.slots.get(id.index as usize)? {
            Some((serial, frame)) if *serial == id.serial => Some(frame),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: FrameId) -> Option<&mut Frame<V>> {
        match self.slots.get_mut(id.index as usize)? {
            Some((serial, frame)) if *serial == id.serial => Some(frame),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, id: FrameId) -> Option<Frame<V>> {
        self.get(id)?;
        let (_, frame) = self.slots[id.index as usize].take()?;
        self.free.push(Reverse(id.index));
        // Free places at the end are given back, so that a wide moment of the past is forgotten.
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        if self.slots.is_empty() {
            self.free.clear();
        }
        Some(frame)
    }

    pub(crate) fn block(&self, id: FrameId) -> Option<&Block<V>> {
        match self.get(id) {
            Some(Frame::Block(block)) => Some(block),
            _ => None,
        }
    }

    pub(crate) fn block_mut(&mut self, id: FrameId) -> Option<&mut Block<V>> {
        match self.get_mut(id) {
            Some(Frame::Block(block)) => Some(block),
            _ => None,
        }
    }

    pub(crate) fn task(&self, id: FrameId) -> Option<&Task<V>> {
        match self.get(id) {
            Some(Frame::Task(task)) => Some(task),
            _ => None,
        }
    }

    pub(crate) fn task_mut(&mut self, id: FrameId) -> Option<&mut Task<V>> {
        match self.get_mut(id) {
            Some(Frame::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// Takes a task out.
    pub(crate) fn take_task(&mut self, id: FrameId) -> Option<Task<V>> {
        self.task(id)?;
        match self.remove(id) {
            Some(Frame::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// Takes a block out.
    pub(crate) fn take_block(&mut self, id: FrameId) -> Option<Block<V>> {
        self.block(id)?;
        match self.remove(id) {
            Some(Frame::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// How many places there are up to the last that is taken.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// All frames, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Frame<V>> {
        self.slots.iter().flatten().map(|(_, frame)| frame)
    }

    /// The names of all frames in the order in which they were opened: each after the one above it.
    pub(crate) fn names(&self) -> Vec<FrameId> {
        let named = (0u32..).zip(&self.slots);
        let mut names: Vec<FrameId> = named
            .filter_map(|(index, slot)| slot.as_ref().map(|(serial, _)| FrameId { index, serial: *serial }))
            .collect();
        names.sort_unstable_by_key(|name| name.serial);
        names
    }

    pub(crate) fn map<U, E>(self, f: &mut dyn FnMut(V) -> Result<U, E>) -> Result<Slab<U>, E> {
        let slot = |slot: Option<(u64, Frame<V>)>| match slot {
            Some((serial, frame)) => Ok(Some((serial, frame.map(f)?))),
            None => Ok(None),
        };
        let slots = self.slots.into_iter().map(slot).collect::<Result<_, E>>()?;
        Ok(Slab {
            slots,
            free: self.free,
            serial: self.serial,
        })
    }
}

/// How a slab is written down.
#[derive(Serialize, Deserialize)]
struct Image<V> {
    serial: u64,
    frames: Vec<(FrameId, Frame<V>)>,
}

impl<V: Clone> From<Slab<V>> for Image<V> {
    fn from(slab: Slab<V>) -> Self {
        let frames = (0u32..).zip(slab.slots);
        let frames = frames.filter_map(|(index, slot)| slot.map(|(serial, frame)| (FrameId { index, serial }, frame)));
        Self {
            serial: slab.serial,
            frames: frames.collect(),
        }
    }
}

impl<V> TryFrom<Image<V>> for Slab<V> {
    type Error = String;

    fn try_from(image: Image<V>) -> Result<Self, String> {
        /// More places than any run has open at once: a larger number is damage, not a place.
        const MOST: u32 = 1 << 24;
        let mut slots = Vec::new();
        for (FrameId { index, serial }, frame) in image.frames {
            if index >= MOST {
                return Err(format!("a frame at place {index}"));
            }
            let index = index as usize;
            if slots.len() <= index {
                slots.resize_with(index + 1, || None);
            }
            slots[index] = Some((serial, frame));
        }
        let free = (0u32..)
            .zip(&slots)
            .filter(|(_, slot)| slot.is_none())
            .map(|(index, _)| Reverse(index))
            .collect();
        Ok(Self {
            slots,
            free,
            serial: image.serial,
        })
    }
}

/// Maps with numbers as keys, written as arrays of pairs: JSON has only strings as keys.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{definition::ListId, frame::Role};

    fn block(position: u32) -> Frame<u64> {
        let (parent, child, context) = (None, None, None);
        let path = Arc::from("/do");
        Frame::Block(Block {
            parent,
            list: ListId(0),
            path,
            position,
            visits: BTreeMap::new(),
            child,
            role: Role::Plain,
            context,
        })
    }

    #[test]
    fn a_slab_reuses_places_but_never_names() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..4).map(|n| slab.insert(block(n))).collect();
        slab.remove(ids[1]).unwrap();
        slab.remove(ids[3]).unwrap();
        slab.remove(ids[2]).unwrap();
        assert_eq!(slab.slots.len(), 1);
        let again = slab.insert(block(9));
        assert_eq!(again.index, 1);
        assert!(slab.get(ids[1]).is_none() && slab.block(again).is_some());
        assert!(slab.remove(ids[1]).is_none());
    }

    #[test]
    fn a_slab_goes_on_the_same_after_json() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..6).map(|n| slab.insert(block(n))).collect();
        for id in [ids[4], ids[0], ids[2]] {
            slab.remove(id).unwrap();
        }
        let mut copy: Slab<u64> = serde_json::from_str(&serde_json::to_string(&slab).unwrap()).unwrap();
        assert_eq!(slab, copy);
        for n in 0..5 {
            assert_eq!(slab.insert(block(n)), copy.insert(block(n)));
        }
        assert_eq!(slab, copy);
    }
}
