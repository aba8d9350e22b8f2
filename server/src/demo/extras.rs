//! Everything beside the till: reservations, the dance in the garden, the workshop next door, orders still open.

use super::House;
use super::calendar::Date;
use super::day::{Day, favourite, order};
use super::finance::settle;
use super::json::Object;
use super::menu::{self, ADMISSION, ADMISSION_REDUCED};
use super::money::Cents;
use super::people::{self, SERVICE};
use super::receipt::Line;
use super::rng::Rng;

const WISHES: &[&str] = &[
    "Bitte Hochstuhl",
    "Goldene Hochzeit 💛, Blumen stehen bereit",
    "Ruhiger Tisch, kein Durchgang",
    "Kommt mit Hund",
    "2 × vegan, 1 × glutenfrei",
    "Rückruf erbeten: \"ab 17 Uhr\"",
];

const REPAIRS: &[(&str, &str, i64)] = &[
    ("Trekkingrad Diamant", "Schaltung springt, Kette gelängt", 79_00),
    ("E-Bike Kalkhoff", "Akku lädt nicht", 49_00),
    ("Kinderrad Puky 16\"", "Platten hinten, Bremse lose", 24_50),
    ("Rennrad (Stahl, 1984)", "Tretlager knarzt", 65_00),
    ("Lastenrad", "Große Inspektion", 129_00),
    ("Hollandrad", "Licht ohne Funktion – Dynamo prüfen", 38_00),
];

impl House {
    /// The reservations for a day.
    pub(super) fn reserve(&mut self, date: Date) {
        let rng = &mut Rng::of("reservations", date.number());
        let busy = if date.weekday() >= 4 { 8 } else { 4 };
        for _ in 0..rng.between(1, busy) {
            let number = self.number("reservations");
            let (first_name, last_name) = people::name(rng);
            let quarter = rng.around_middle(46, 82);
            let begin = date.at(quarter * 900);
            let state = match rng.between(0, 99) {
                _ if date > super::LAST_DAY => "booked",
                0..=89 => "arrived",
                90..=95 => "cancelled",
                _ => "no-show",
            };
            let wish = rng.chance(140).then(|| rng.pick(WISHES));
            let reservation = Object::document(&format!("res_{number:06}"), "Reservation")
                .value("number", number)
                .plain("from", begin)
                .plain("until", begin.plus(2 * 3_600))
                .text("name", format!("{first_name} {last_name}"))
                .text("phone", people::phone(rng))
                .value("guests", rng.between(2, 12))
                .plain("tableId", format!("tbl_{:02}", rng.between(1, super::place::TABLES)))
                .text("state", state)
                .text("source", rng.pick(&["Telefon", "Webseite", "persönlich"]))
                .maybe("note", wish);
            self.put("reservations", reservation);
        }
    }

    /// A guest of the monthly dance: admission and what was drunk, paid at the door when leaving.
    pub(super) fn dance(&mut self, day: &mut Day, second: i64) {
        let mut receipt = self.open(day, second, 90);
        let number = self.number("disco-guests");
        let id = format!("guest_{number:05}");
        let reduced = day.rng.chance(250);
        let admission = if reduced { ADMISSION_REDUCED } else { ADMISSION };
        receipt.lines.push(Line::of(admission, day.date, true));
        for _ in 0..day.rng.between(0, 3) {
            let drinks = day.rng.pick(&[menu::SPIRITS, menu::BEERS, menu::SOFT_DRINKS]);
            let line = Line::of(favourite(&mut day.rng, drinks), day.date, true);
            match receipt.lines.iter_mut().find(|other| other.article.number == line.article.number) {
                Some(other) => other.quantity += 1,
                None => receipt.lines.push(line),
            }
        }
        receipt.disco_guest = Some(id.clone());
        let total = receipt.total();
        settle(&mut day.rng, &mut receipt, total, true);
        let (first_name, last_name) = people::name(&mut day.rng);
        let guest = Object::document(&id, "DiscoGuest")
            .value("number", number)
            .text("firstName", first_name)
            .text("lastName", last_name)
            .plain("cardNumber", format!("{:05}", 10_000 + number % 300))
            .text("admissionGroupId", if reduced { "adm_2" } else { "adm_1" })
            .plain("checkedInAt", receipt.closed.plus(-day.rng.between(2_700, 9_000)))
            .plain("checkedOutAt", receipt.closed)
            .text("receiptId", receipt.id())
            .value("total", total);
        self.put("disco-guests", guest);
        self.record(day, &receipt);
    }

    /// Now and then someone leaves a bicycle.
    pub(super) fn repair(&mut self, day: &mut Day) {
        if !day.rng.chance(60) {
            return;
        }
        let number = self.number_in("workshop-orders", day.date.year());
        let (bike, defect, labour) = day.rng.pick(REPAIRS);
        let id = format!("WS-{}-{number:04}", day.date.year());
        let customer = day.rng.between(1, 60);
        let parts = Cents(day.rng.between(4, 60) * 95);
        let ready = day.date.plus(day.rng.between(2, 8));
        let position =
            |text, price| Object::new().text("text", text).value("quantity", 1).value("price", price);
        let workshop = Object::document(&id, "WorkshopOrder")
            .value("year", day.date.year())
            .value("number", number)
            .plain("orderNumber", &id)
            .plain("customerId", format!("cust_{customer:04}"))
            .text("item", bike)
            .text("defect", defect)
            .plain("receivedOn", day.date)
            .plain("promisedFor", ready)
            .text("state", if ready < super::LAST_DAY { "collected" } else { "in-progress" })
            .list("positions", [position("Arbeitszeit", Cents(labour)), position("Ersatzteile", parts)])
            .value("total", Cents(labour) + parts);
        self.put("workshop-orders", workshop);
    }

    /// Tables where people are still sitting when the stream ends.
    pub(super) fn open_orders(&mut self) {
        let rng = &mut Rng::of("open", 0);
        for (number, table) in (1..).zip([3, 7, 12, 18]) {
            let lines: Vec<_> = (0..3)
                .flat_map(|_| order(rng, true))
                .map(|article| Line::of(article, super::LAST_DAY, true))
                .collect();
            let total = lines.iter().map(Line::total).sum::<Cents>();
            let bon = Object::document(&format!("open_{number:05}"), "OpenBon")
                .value("number", number)
                .plain("tableId", format!("tbl_{table:02}"))
                .text("employeeId", rng.pick(SERVICE).id())
                .plain("openedAt", super::LAST_DAY.at(21 * 3_600 + number * 700))
                .value("guests", 3)
                .list("lines", lines.iter().enumerate().map(|(at, line)| line.object(at + 1)))
                .value("total", total);
            self.number("open-orders");
            self.put("open-orders", bon);
        }
    }

    /// The highest number in use, per sequence.
    pub(super) fn counters(&mut self) {
        let receipts = self.last_number("receipts");
        let own = std::mem::take(&mut self.numbers).into_iter().map(|((collection, year), value)| {
            let name = match collection {
                "receipts" => "receiptNumber",
                "day-closes" => "zNumber",
                _ => "number",
            };
            (collection, name, year, value)
        });
        let device = [("transactionNumber", receipts), ("signatureCounter", 2 * receipts)]
            .map(|(name, value)| ("receipts", name, None, value));
        for (collection, name, year, value) in own.chain(device) {
            let suffix = year.map_or_else(String::new, |year| format!("-{year}"));
            let counter = Object::document(&format!("cnt_{collection}-{name}{suffix}"), "Counter")
                .text("collection", collection)
                .text("name", name);
            let counter = match year {
                Some(year) => counter.value("year", year),
                None => counter,
            };
            self.put("counters", counter.value("value", value));
        }
    }
}
