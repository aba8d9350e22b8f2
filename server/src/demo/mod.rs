//! Two years of a plausible German restaurant, the same on every machine.
//!
//! [`generate`] uses no clock, no database and no randomness of the operating system. Amounts, taxes, numbers and
//! references add up across collections; signatures are plainly none. The days are made one by one as the iterator
//! is drawn, so that the whole never lies in memory.

#![allow(clippy::inconsistent_digit_grouping, reason = "in cents, the last two digits stand apart: 12_50")]

mod calendar;
mod day;
mod extras;
mod files;
mod finance;
mod json;
mod menu;
mod money;
mod people;
mod place;
mod receipt;
mod rng;

use calendar::Date;
use json::Object;
use std::collections::{BTreeMap, VecDeque};

/// One thing that the demo restaurant stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A document.
    Document {
        /// Its collection.
        collection: &'static str,
        /// One JSON object with an `_id`, without line ends.
        body: String,
    },
    /// A file of a document that came before it.
    Attachment {
        /// Collection of the owner.
        collection: &'static str,
        /// `_id` of the owner.
        id: String,
        /// File name.
        name: String,
        /// Media type.
        media_type: &'static str,
        /// The content.
        bytes: Vec<u8>,
    },
}

/// Days that the demo can reach back: from 2021-01-01, when its tax rules begin, to 2026-06-30.
pub const MAX_DAYS: u32 = 2_007;

const LAST_DAY: Date = Date::of(2026, 6, 30);
/// Reservations reach this many days beyond the last day.
const AHEAD: i64 = 21;

/// The last `days` days until 2026-06-30, as they stand in the store in the evening of that day; at most [`MAX_DAYS`].
///
/// Numbers start at 1 whatever the number of days. Items come day by day, an owner before its attachments; no `_id`
/// comes twice in a collection.
pub fn generate(days: u32) -> impl Iterator<Item = Item> + Send {
    let days = i64::from(days.min(MAX_DAYS));
    let mut chapters = Chapter::all(days);
    let mut house = House {
        out: VecDeque::new(),
        numbers: BTreeMap::new(),
        vouchers: Vec::new(),
        accounts: House::accounts(),
        reminders: Vec::new(),
    };
    std::iter::from_fn(move || {
        while house.out.is_empty() {
            house.write(chapters.next()?);
        }
        house.out.pop_front()
    })
}

/// A stretch of the stream.
enum Chapter {
    SetUp,
    Day(Date),
    Ahead(Date),
    End,
}

impl Chapter {
    fn all(days: i64) -> impl Iterator<Item = Self> {
        let past = (1 - days..=0).map(|day| Self::Day(LAST_DAY.plus(day)));
        let ahead = (1..=AHEAD).map(|day| Self::Ahead(LAST_DAY.plus(day)));
        std::iter::once(Self::SetUp).chain(past).chain(ahead).chain(std::iter::once(Self::End))
    }
}

/// The house, its books, and what it has written but not handed over.
struct House {
    out: VecDeque<Item>,
    /// The highest number given, per collection and, where numbers start anew each year, year.
    numbers: BTreeMap<(&'static str, Option<i64>), i64>,
    vouchers: Vec<finance::Voucher>,
    accounts: Vec<finance::Account>,
    reminders: Vec<finance::Reminder>,
}

impl House {
    fn write(&mut self, chapter: Chapter) {
        match chapter {
            Chapter::SetUp => self.set_up(),
            Chapter::Day(date) if day::is_open(date) => self.day(date),
            Chapter::Ahead(date) if day::is_open(date) => self.reserve(date),
            Chapter::Day(_) | Chapter::Ahead(_) => {}
            Chapter::End => {
                self.close_vouchers();
                self.close_accounts();
                self.open_orders();
                self.counters();
            }
        }
    }

    /// The next number of a collection.
    fn number(&mut self, collection: &'static str) -> i64 {
        advance(&mut self.numbers, (collection, None))
    }

    /// The next number of a collection that counts per year.
    fn number_in(&mut self, collection: &'static str, year: i64) -> i64 {
        advance(&mut self.numbers, (collection, Some(year)))
    }

    fn last_number(&self, collection: &'static str) -> i64 {
        self.numbers.get(&(collection, None)).copied().unwrap_or(0)
    }

    fn put(&mut self, collection: &'static str, document: Object) {
        self.out.push_back(Item::Document { collection, body: document.finish() });
    }

    fn attach(
        &mut self,
        collection: &'static str,
        id: &str,
        name: String,
        media_type: &'static str,
        bytes: Vec<u8>,
    ) {
        // A slash belongs to no file name.
        let name = name.replace('/', "-");
        self.out.push_back(Item::Attachment { collection, id: id.to_owned(), name, media_type, bytes });
    }
}

fn advance<K: Ord>(numbers: &mut BTreeMap<K, i64>, key: K) -> i64 {
    let number = numbers.entry(key).or_default();
    *number += 1;
    *number
}
