//! The runs of each part: of one collection, or of all that stand in it. An archive may hold a hundred thousand parts of a
//! hundred thousand collections, so none of them is looked at for another's sake.

use super::index::{Index, Run};

/// The runs of all collections by their parts.
#[derive(Debug)]
pub(super) struct Runs {
    /// Each with the place of its collection, in the order of the parts and their lines.
    all: Vec<(usize, Run)>,
}

impl Runs {
    pub(super) fn of(index: &Index) -> Self {
        let collections = index.collections.iter().enumerate();
        let mut all: Vec<(usize, Run)> =
            collections.flat_map(|(at, rows)| rows.runs.iter().map(move |run| (at, *run))).collect();
        all.sort_by_key(|(_, run)| (run.part, run.line));
        Self { all }
    }

    /// The runs of a part, each with the place of its collection, in the order of the lines.
    pub(super) fn in_part(&self, index: &Index, part: usize, collection: Option<&str>) -> Vec<(usize, Run)> {
        let Some(name) = collection else { return self.in_whole_part(part).to_vec() };
        let rows = index.place(name).and_then(|at| Some((at, index.collections.get(at)?)));
        rows.into_iter().flat_map(|(at, rows)| rows.runs_in(part).iter().map(move |run| (at, *run))).collect()
    }

    fn in_whole_part(&self, part: usize) -> &[(usize, Run)] {
        let from = self.all.partition_point(|(_, run)| run.part < part);
        let to = self.all.partition_point(|(_, run)| run.part <= part);
        self.all.get(from..to).unwrap_or_default()
    }
}
