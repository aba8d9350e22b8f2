//! One day of the house: who comes when, what they have, who serves them, and the close in the evening.

use super::House;
use super::calendar::{Date, Moment};
use super::json::Object;
use super::menu::{self, Article, Kind};
use super::money::Cents;
use super::people::{Employee, KITCHEN, OWNER, SERVICE, staff};
use super::receipt::{CLIENT_ID, Line, Receipt, Totals};
use super::rng::Rng;
use std::collections::BTreeMap;

/// What brings someone to the till.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Visit {
    Meal,
    TakeAway,
    BuyVoucher,
    TopUp,
    Dance,
}

/// The day under way.
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) z: i64,
    pub(super) rng: Rng,
    /// When the last receipt was closed; log times never go back.
    last: Moment,
    roster: Vec<Employee>,
    totals: Totals,
    by_employee: BTreeMap<i64, Totals>,
}

/// Cash that lies in the drawer each morning.
const FLOAT: Cents = Cents(300_00);
/// Notes and coins, in cents.
const PIECES: &[i64] = &[200_00, 100_00, 50_00, 20_00, 10_00, 5_00, 2_00, 1_00, 50, 20, 10, 5, 2, 1];

const LINE_NOTES: &[&str] = &[
    "ohne Zwiebeln",
    "Soße extra",
    "Nussallergie!",
    "laktosefrei",
    "gut durch",
    "kleine Portion",
    "scharf 🌶️",
    "mit \"viel\" Soße",
];
const RECEIPT_NOTES: &[&str] = &[
    "Geburtstag 🎂\u{2028}Tisch am Fenster",
    "Rechnung bitte getrennt\tDamen/Herren",
    "Stammtisch »Die Unverbesserlichen«",
    "Hund dabei 🐕",
    "Gast wartet auf Taxi\nbitte Bescheid geben",
    "Pfad für Bon: C:\\Bons\\2025",
];
const VOID_REASONS: &[&str] =
    &["Falsch gebucht", "Gast reklamiert: Essen kalt", "Doppelt kassiert", "Tisch verwechselt"];

/// Closed on Mondays, at Christmas, on New Year's Day and for holidays in January.
pub(super) fn is_open(date: Date) -> bool {
    let (_, month, day) = date.civil();
    date.weekday() != 0 && !matches!((month, day), (12, 24..=26) | (1, 1) | (1, 7..=17))
}

/// The first Saturday of a month.
fn is_dance(date: Date) -> bool {
    date.weekday() == 5 && date.civil().2 <= 7
}

fn visits(date: Date, rng: &mut Rng) -> Vec<(i64, Visit)> {
    let (_, month, _) = date.civil();
    let by_weekday = match date.weekday() {
        0..=1 => 38,
        2 => 43,
        3 => 50,
        4 => 66,
        5 => 75,
        _ => 60,
    };
    let season = match month {
        1 | 2 => 800,
        3 | 4 => 940,
        5..=9 => 1_080,
        12 => 1_190,
        _ => 960,
    };
    let weekend = date.weekday() >= 5;
    let mut visits = Vec::new();
    for _ in 0..by_weekday * season / 1_000 + rng.between(-6, 6) {
        let minute = match rng.between(0, 99) {
            0..=37 => rng.around_middle(11 * 60 + 50, 14 * 60 + 25),
            38..=47 if weekend => rng.between(14 * 60 + 30, 17 * 60 + 20),
            _ => rng.around_middle(17 * 60 + 40, 22 * 60 + 50),
        };
        let visit = if rng.chance(75) { Visit::TakeAway } else { Visit::Meal };
        visits.push((minute * 60 + rng.between(0, 59), visit));
    }
    let presents = if month == 12 { 1_700 } else { 450 };
    for (visit, per_mille) in [(Visit::BuyVoucher, presents), (Visit::TopUp, 420)] {
        for _ in 0..per_mille / 1_000 + i64::from(rng.chance(per_mille % 1_000)) {
            visits.push((rng.between(11 * 3_600 + 2_400, 21 * 3_600), visit));
        }
    }
    if is_dance(date) {
        for _ in 0..rng.between(24, 40) {
            visits.push((rng.between(21 * 3_600 + 1_800, 23 * 3_600 + 2_400), Visit::Dance));
        }
    }
    visits.sort_unstable();
    visits
}

impl House {
    /// Everything that happens on an open day.
    pub(super) fn day(&mut self, date: Date) {
        let mut rng = Rng::of("day", date.number());
        let visits = visits(date, &mut rng);
        let z = self.number("day-closes");
        let roster = SERVICE.iter().copied().filter(|_| rng.chance(620)).collect::<Vec<_>>();
        let roster = if roster.is_empty() { vec![OWNER] } else { roster };
        let (totals, by_employee) = (Totals::default(), BTreeMap::new());
        let mut day = Day { date, z, rng, last: date.at(11 * 3_600), roster, totals, by_employee };
        self.dun(date);
        self.reserve(date);
        for (second, visit) in visits {
            match visit {
                Visit::Meal => self.meal(&mut day, second, true),
                Visit::TakeAway => self.meal(&mut day, second, false),
                Visit::BuyVoucher => self.sell_voucher(&mut day, second),
                Visit::TopUp => self.top_up(&mut day, second),
                Visit::Dance => self.dance(&mut day, second),
            }
        }
        self.repair(&mut day);
        let spent = self.spend(&mut day);
        self.close(day, spent);
    }

    /// A receipt that is still empty, with the next number.
    pub(super) fn open(&mut self, day: &mut Day, second: i64, stay: i64) -> Receipt {
        let closed = day.date.at(second).max(day.last.plus(7));
        let opened = closed.plus(-stay).max(day.date.at(11 * 3_600 + 1_200));
        let employee = day.rng.pick(&day.roster);
        Receipt {
            number: self.number("receipts"),
            z: day.z,
            date: day.date,
            opened,
            closed,
            employee,
            table: None,
            guests: 1,
            in_house: true,
            customer: None,
            disco_guest: None,
            lines: Vec::new(),
            payments: Vec::new(),
            tip: Cents::ZERO,
            note: None,
            voids: None,
        }
    }

    /// Counts the receipt and stores it; one in 150 is taken back soon after.
    pub(super) fn record(&mut self, day: &mut Day, receipt: &Receipt) {
        day.last = receipt.closed;
        day.totals.add(receipt);
        day.by_employee.entry(receipt.employee.number).or_default().add(receipt);
        self.put("receipts", receipt.object());
        if receipt.voids.is_none() && receipt.is_simple() && day.rng.chance(7) {
            let closed = receipt.closed.plus(day.rng.between(40, 400));
            let void = receipt.void(self.number("receipts"), closed, day.rng.pick(VOID_REASONS));
            self.record(day, &void);
        }
    }

    fn meal(&mut self, day: &mut Day, second: i64, in_house: bool) {
        let stay = if in_house { day.rng.between(35 * 60, 130 * 60) } else { day.rng.between(40, 200) };
        let mut receipt = self.open(day, second, stay);
        let rng = &mut day.rng;
        receipt.in_house = in_house;
        receipt.guests = match rng.between(0, 99) {
            0..=23 => 1,
            24..=71 => 2,
            72..=84 => 3,
            85..=95 => 4,
            _ => rng.between(5, 8),
        };
        if in_house {
            receipt.table = Some(rng.between(1, super::place::TABLES));
        }
        for _ in 0..receipt.guests {
            for article in order(rng, in_house) {
                add(&mut receipt.lines, Line::of(article, day.date, in_house), rng);
            }
        }
        if rng.chance(35) {
            let percent = rng.pick(&[5, 10, 10, 20, 50]);
            let all = percent <= 10;
            let reach = if all { receipt.lines.len() } else { 1 };
            receipt.lines.iter_mut().take(reach).for_each(|line| line.discount = percent);
        }
        if rng.chance(12) {
            receipt.note = Some(rng.pick(RECEIPT_NOTES));
        }
        self.pay(day, &mut receipt);
        self.record(day, &receipt);
    }

    /// Shifts, times and the day close.
    fn close(&mut self, mut day: Day, spent: Cents) {
        self.clock(&mut day);
        let closed = day.last.max(day.date.at(22 * 3_600 + 1_800)).plus(day.rng.between(300, 1_500));
        for employee in staff() {
            let Some(totals) = day.by_employee.get(&employee.number) else { continue };
            let id = format!("shift_{}_{}", day.date.digits(), employee.id());
            let shift = Object::document(&id, "Exchange")
                .plain("businessDate", day.date)
                .value("zNumber", day.z)
                .text("employeeId", employee.id())
                .plain("startedAt", day.date.at(10 * 3_600 + 1_800))
                .plain("endedAt", closed)
                .value("openingCash", Cents(100_00))
                .value("closingCash", Cents(100_00) + totals.paid("cash"));
            self.put("shifts", totals.write(shift));
        }
        let totals = &day.totals;
        let expected = FLOAT + totals.paid("cash") - totals.tips - spent;
        let slip = if day.rng.chance(120) { Cents(day.rng.between(-40, 40) * 5) } else { Cents::ZERO };
        let counted = (expected + slip).max(Cents::ZERO);
        let mut rest = counted.0;
        let count = PIECES.iter().filter_map(|piece| {
            let pieces = rest / piece;
            rest %= piece;
            let row = || Object::new().value("value", Cents(*piece)).value("pieces", pieces);
            (pieces > 0).then(row)
        });
        let cash = Object::new()
            .value("float", FLOAT)
            .value("received", totals.paid("cash"))
            .value("tipsPaidOut", totals.tips)
            .value("expenses", spent)
            .value("expected", expected)
            .value("counted", counted)
            .value("difference", counted - expected)
            .list("pieces", count);
        let last_number = self.last_number("receipts");
        let close = Object::document(&format!("z_{:05}", day.z), "DayClose")
            .value("zNumber", day.z)
            .plain("businessDate", day.date)
            .plain("openedAt", day.date.at(10 * 3_600 + 1_800))
            .plain("closedAt", closed)
            .text("clientId", CLIENT_ID)
            .text("employeeId", OWNER.id())
            .value("firstReceiptNumber", last_number - totals.count + 1)
            .value("lastReceiptNumber", last_number);
        self.put("day-closes", totals.write(close).object("cash", cash));
    }

    fn clock(&mut self, day: &mut Day) {
        let cooks: Vec<_> = KITCHEN.iter().filter(|_| day.rng.chance(720)).collect();
        let roster = std::mem::take(&mut day.roster);
        for employee in roster.iter().chain(cooks) {
            let start = day.rng.between(10 * 60 + 15, 11 * 60);
            let (minutes, pause) = (day.rng.between(6 * 60, 9 * 60 + 30), day.rng.pick(&[30, 45, 60]));
            let (from, to) = (day.date.at(start * 60), day.date.at((start + minutes) * 60));
            let worked = minutes - pause;
            let id = format!("time_{}_{}", day.date.digits(), employee.id());
            let entry = Object::document(&id, "TimeEntry")
                .text("employeeId", employee.id())
                .plain("businessDate", day.date)
                .plain("startedAt", from)
                .plain("endedAt", to)
                .value("breakMinutes", pause)
                .value("workedMinutes", worked)
                .value("hourlyWage", Cents(employee.wage))
                .text("source", if day.rng.chance(900) { "terminal" } else { "nachgetragen" });
            self.put("time-entries", entry);
        }
        day.roster = roster;
    }
}

/// The same thing twice is one line, unless somebody wants it differently.
fn add(lines: &mut Vec<Line>, mut line: Line, rng: &mut Rng) {
    line.option = line.article.option().map(|template| rng.pick(template.choices));
    if line.article.kind() == Kind::Food && rng.chance(25) {
        line.note = Some(rng.pick(LINE_NOTES));
    }
    let same = |other: &&mut Line| {
        (other.article.number, other.option, other.note) == (line.article.number, line.option, line.note)
    };
    match lines.iter_mut().find(same) {
        Some(other) => other.quantity += 1,
        None => lines.push(line),
    }
}

/// What one guest has.
pub(super) fn order(rng: &mut Rng, in_house: bool) -> Vec<Article> {
    let child = in_house && rng.chance(80);
    let main = match rng.between(0, 99) {
        _ if child => menu::CHILDREN,
        0..=59 => menu::MAINS,
        60..=71 => menu::FISH,
        72..=86 => menu::VEGETARIAN,
        _ => menu::SALADS,
    };
    let drinks = match rng.between(0, 99) {
        _ if child => menu::SOFT_DRINKS,
        0..=37 => menu::BEERS,
        38..=77 => menu::SOFT_DRINKS,
        _ => menu::WINES,
    };
    let wishes = [
        (menu::STARTERS, 130),
        (menu::SOUPS, 130),
        (main, 930),
        (menu::SIDES, 110),
        (drinks, if in_house { 950 } else { 120 }),
        (drinks, if in_house { 300 } else { 0 }),
        (menu::DESSERTS, 180),
        (menu::HOT_DRINKS, if in_house { 220 } else { 0 }),
        (menu::SPIRITS, if in_house && !child { 90 } else { 0 }),
    ];
    let chosen = wishes.into_iter().filter(|(_, per_mille)| rng.chance(*per_mille)).collect::<Vec<_>>();
    let mut articles: Vec<_> = chosen.into_iter().map(|(articles, _)| favourite(rng, articles)).collect();
    if articles.is_empty() {
        articles.push(favourite(rng, main));
    }
    articles
}

/// The first of a group sell best.
pub(super) fn favourite(rng: &mut Rng, articles: &[Article]) -> Article {
    let (one, other) = (rng.pick(articles), rng.pick(articles));
    if one.number < other.number { one } else { other }
}
