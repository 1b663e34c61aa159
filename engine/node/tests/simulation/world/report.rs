//! What is counted, so that it can be seen that something happened.

/// What a run of the world came to.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub runs: u64,
    pub crashes: u64,
    pub recovered: u64,
    pub evicted: u64,
    pub effects: u64,
    /// Calls inside calls that were kept.
    pub inner: u64,
    pub duplicates: u64,
    pub lost_acknowledgements: u64,
    pub refused_writes: u64,
    /// Writes that looked failed and became durable later.
    pub late: u64,
    /// Commits that a death cut in two.
    pub torn: u64,
    /// How often the node came back as a newer version.
    pub upgrades: u64,
    /// How often a whole journal was read for want of a snapshot.
    pub whole: u64,
    /// Runs that were made from others.
    pub made: u64,
    /// How often the clock was set.
    pub jumps: u64,
    /// Calls that were never answered.
    pub hanging: u64,
    pub published: u64,
    pub consumed: u64,
    pub emitted: u64,
    pub children: u64,
    pub unknown: u64,
    pub rated: u64,
    pub waited: u64,
    pub rejected: u64,
    /// Runs in which a task has listened.
    pub listening: u64,
    /// Runs in which a task has emitted.
    pub emitting: u64,
    /// Runs in which branches were open.
    pub forking: u64,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.crashes += other.crashes;
        self.recovered += other.recovered;
        self.evicted += other.evicted;
        self.effects += other.effects;
        self.inner += other.inner;
        self.duplicates += other.duplicates;
        self.lost_acknowledgements += other.lost_acknowledgements;
        self.refused_writes += other.refused_writes;
        self.late += other.late;
        self.torn += other.torn;
        self.upgrades += other.upgrades;
        self.whole += other.whole;
        self.made += other.made;
        self.jumps += other.jumps;
        self.hanging += other.hanging;
        self.published += other.published;
        self.consumed += other.consumed;
        self.emitted += other.emitted;
        self.children += other.children;
        self.unknown += other.unknown;
        self.rated += other.rated;
        self.waited += other.waited;
        self.rejected += other.rejected;
        self.listening += other.listening;
        self.emitting += other.emitting;
        self.forking += other.forking;
    }
}
