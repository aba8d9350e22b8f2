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
        let from = self.all.partition_point(|(_, run)| stepped(run).part < part);
        let to = self.all.partition_point(|(_, run)| stepped(run).part <= part);
        self.all.get(from..to).unwrap_or_default()
    }
}

/// Every look at a run passes here, so that a test can count them.
pub(super) fn stepped(run: &Run) -> &Run {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + 1));
    run
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(not(target_arch = "wasm32"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Category;
    use crate::inspect::{IndexedPart, Rows};

    /// How many runs are looked at to find those of each part, of its collection alone and of all.
    fn steps(parts: usize) -> u64 {
        let mut index = Index::default();
        for part in 0..parts {
            let name = format!("c{part:06}");
            index.parts.push(IndexedPart { name: format!("{name}.jsonl.br"), ids: None });
            let runs = vec![Run { part, row: 0, line: 0, lines: 1 }];
            index.collections.push(Rows { name, category: Category::Other, documents: 1, bytes: 9, runs });
        }
        let runs = Runs::of(&index);
        STEPS.with(|steps| steps.set(0));
        for part in 0..parts {
            assert_eq!(runs.in_part(&index, part, None).len(), 1);
            assert_eq!(runs.in_part(&index, part, Some(&format!("c{part:06}"))).len(), 1);
        }
        STEPS.with(std::cell::Cell::get)
    }

    #[test]
    fn each_part_finds_its_runs_without_a_look_at_the_others() {
        let (few, many) = (steps(1_000), steps(4_000));
        assert!(few > 0 && many < 6 * few, "{few} steps for 1,000 parts, {many} for 4,000");
    }
}
