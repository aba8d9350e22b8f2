//! Money that outlives a receipt: vouchers, customers' credit, invoices, dunning notices, expenses.

use super::House;
use super::calendar::{Date, Moment};
use super::day::Day;
use super::files::pdf::{self, Page};
use super::json::{Object, tax_row};
use super::menu::{CREDIT, VOUCHER};
use super::money::Cents;
use super::people::{self, OWNER};
use super::receipt::{Line, Payment, Receipt};
use super::rng::Rng;

/// A voucher and what became of it.
pub(super) struct Voucher {
    id: String,
    code: String,
    value: Cents,
    remaining: Cents,
    sold: (String, Date),
    redemptions: Vec<(String, Moment, Cents)>,
}

/// A customer and the state of the account.
pub(super) struct Account {
    number: i64,
    first_name: &'static str,
    last_name: &'static str,
    company: Option<&'static str>,
    balance: Cents,
    points: i64,
}

/// An invoice that may stay unpaid.
pub(super) struct Reminder {
    due: Date,
    level: i64,
    invoice: String,
    invoice_number: String,
    customer: String,
    amount: Cents,
}

impl Account {
    pub(super) fn id(&self) -> String {
        format!("cust_{:04}", self.number)
    }

    fn name(&self) -> String {
        self.company.map_or_else(|| format!("{} {}", self.first_name, self.last_name), str::to_owned)
    }
}

const CUSTOMERS: i64 = 84;

const SUPPLIERS: &[(&str, &str, u8, i64, i64)] = &[
    ("Blumen Rösch", "Tischdekoration", 7, 14_00, 48_00),
    ("Bäckerei Kühn & Söhne OHG", "Backwaren", 7, 12_00, 45_00),
    ("Wochenmarkt, Stand Übelhör", "Kräuter & Gemüse", 7, 9_00, 60_00),
    ("Getränke Häußler", "Leergut und Nachlieferung", 19, 20_00, 95_00),
    ("Schreibwaren Süßkind", "Bonrollen, Bürobedarf", 19, 8_00, 42_00),
    ("Deutsche Post AG", "Porto", 0, 3_00, 18_00),
    ("Eisen-Vogt", "Kleinteile Küche", 19, 5_00, 36_00),
    ("Reinigung Weiß", "Tischwäsche", 19, 25_00, 80_00),
];

impl House {
    /// The customers, before anybody came.
    pub(super) fn accounts() -> Vec<Account> {
        let companies = people::COMPANIES.iter().copied().map(Some).chain(std::iter::repeat(None));
        (1..=CUSTOMERS)
            .zip(companies)
            .map(|(number, company)| {
                let (first_name, last_name) = people::name(&mut Rng::of("customer", number));
                Account { number, first_name, last_name, company, balance: Cents::ZERO, points: 0 }
            })
            .collect()
    }

    /// Chooses how a receipt is paid, and books it.
    pub(super) fn pay(&mut self, day: &mut Day, receipt: &mut Receipt) {
        let rng = &mut day.rng;
        let mut rest = receipt.total();
        let mut invoice = None;
        if rng.chance(55) {
            let at = usize::try_from(rng.between(0, CUSTOMERS - 1)).unwrap_or(0);
            let id = self.accounts.get(at).map(Account::id);
            let company = self.accounts.get(at).is_some_and(|account| account.company.is_some());
            receipt.customer.clone_from(&id);
            if company && rng.chance(450) {
                receipt.payments.push(Payment::of("invoice", rest));
                rest = Cents::ZERO;
            } else if let Some(used) = self.spend_credit(at, rest, receipt) {
                rest -= used;
            }
            if company {
                invoice = Some(at);
            }
            self.accounts.iter_mut().skip(at).take(1).for_each(|account| account.points += 1);
        }
        let rng = &mut day.rng;
        if rest > Cents::ZERO && receipt.table.is_some() && rng.chance(13) {
            let open: Vec<_> = self.vouchers.iter_mut().filter(|voucher| voucher.is_open(receipt)).collect();
            let skip = usize::try_from(rng.between(0, 30)).unwrap_or(0) % open.len().max(1);
            if let Some(voucher) = open.into_iter().nth(skip) {
                rest -= voucher.redeem(receipt, rest);
            }
        }
        if rest > Cents::ZERO {
            settle(rng, receipt, rest, true);
        }
        if let Some(at) = invoice {
            self.invoice(day.date, at, receipt);
        }
    }

    fn spend_credit(&mut self, at: usize, rest: Cents, receipt: &mut Receipt) -> Option<Cents> {
        let account = self.accounts.get(at).filter(|account| account.balance > Cents::ZERO)?;
        let used = account.balance.min(rest);
        receipt.payments.push(Payment::of("customer-credit", used));
        self.book(at, "payment", -used, receipt);
        Some(used)
    }

    /// A movement of a customer's credit.
    fn book(&mut self, at: usize, kind: &str, amount: Cents, receipt: &Receipt) {
        let number = self.number("customer-transactions");
        let Some(account) = self.accounts.get_mut(at) else { return };
        account.balance += amount;
        let transaction = Object::document(&format!("ctx_{number:06}"), "CustomerTransaction")
            .value("number", number)
            .text("customerId", account.id())
            .text("type", kind)
            .plain("date", receipt.closed)
            .value("amount", amount)
            .value("balanceAfter", account.balance)
            .text("receiptId", receipt.id())
            .text("employeeId", receipt.employee.id());
        self.put("customer-transactions", transaction);
    }

    pub(super) fn top_up(&mut self, day: &mut Day, second: i64) {
        let mut receipt = self.open(day, second, 45);
        let at = usize::try_from(day.rng.between(0, 39)).unwrap_or(0);
        let mut line = Line::of(CREDIT, day.date, true);
        line.unit = Cents(day.rng.pick(&[50_00, 50_00, 100_00, 150_00, 200_00]));
        receipt.customer = self.accounts.get(at).map(Account::id);
        self.accounts.iter_mut().skip(at).take(1).for_each(|account| account.points += 1);
        let amount = line.unit;
        receipt.lines.push(line);
        settle(&mut day.rng, &mut receipt, amount, false);
        self.book(at, "top-up", amount, &receipt);
        self.record(day, &receipt);
    }

    pub(super) fn sell_voucher(&mut self, day: &mut Day, second: i64) {
        let mut receipt = self.open(day, second, 60);
        let mut line = Line::of(VOUCHER, day.date, true);
        line.unit = Cents(day.rng.pick(&[25_00, 30_00, 50_00, 50_00, 75_00, 100_00]));
        let number = self.number("vouchers");
        let value = line.unit;
        let id = format!("vou_{number:06}");
        line.voucher = Some(id.clone());
        receipt.lines.push(line);
        settle(&mut day.rng, &mut receipt, value, false);
        self.vouchers.push(Voucher {
            id,
            code: format!("GH-{number:04}-{:06X}", Rng::of("voucher", number).next() & 0xff_ffff),
            value,
            remaining: value,
            sold: (receipt.id(), day.date),
            redemptions: Vec::new(),
        });
        self.record(day, &receipt);
    }

    fn invoice(&mut self, date: Date, at: usize, receipt: &Receipt) {
        let number = self.number_in("invoices", date.year());
        let Some(account) = self.accounts.get(at) else { return };
        let (street, code, town) = people::address(&mut Rng::of("address", account.number));
        let open = receipt.payments.iter().any(|payment| payment.kind == "invoice");
        let (id, invoice_number) =
            (format!("inv_{}-{number:04}", date.year()), format!("RE-{}-{number:04}", date.year()));
        let address = Object::new()
            .text("name", account.name())
            .text("street", street)
            .text("postalCode", code)
            .text("city", town);
        let invoice = Object::document(&id, "Invoice")
            .value("year", date.year())
            .value("number", number)
            .plain("invoiceNumber", &invoice_number)
            .plain("date", date)
            .plain("dueDate", date.plus(14))
            .text("customerId", account.id())
            .object("recipient", address)
            .text("receiptId", receipt.id())
            .list("lines", receipt.lines.iter().enumerate().map(|(at, line)| line.object(at + 1)))
            .list("taxes", receipt.taxes().into_iter().map(|(rate, (gross, tax))| tax_row(rate, gross, tax)))
            .value("total", receipt.total())
            .value("paidOnIssue", !open)
            .text("text", "Vielen Dank für Ihren Besuch!\nZahlbar ohne Abzug innerhalb von 14 Tagen.");
        if open && Rng::of("late", receipt.number).chance(380) {
            let customer = account.id();
            let amount = receipt.total();
            let due = date.plus(21);
            self.reminders.push(Reminder { due, level: 1, invoice: id, invoice_number, customer, amount });
        }
        self.put("invoices", invoice);
    }

    /// Sends the dunning notices that have become due.
    pub(super) fn dun(&mut self, date: Date) {
        let (due, waiting) = std::mem::take(&mut self.reminders)
            .into_iter()
            .partition::<Vec<_>, _>(|reminder| reminder.due <= date);
        self.reminders = waiting;
        for reminder in due {
            let number = self.number("dunning-notices");
            let fee = Cents(reminder.level * 2_50);
            let notice = Object::document(&format!("dun_{number:05}"), "DunningNotice")
                .value("number", number)
                .text("invoiceId", &reminder.invoice)
                .text("customerId", &reminder.customer)
                .value("level", reminder.level)
                .plain("date", date)
                .plain("dueDate", date.plus(10))
                .value("amount", reminder.amount)
                .value("fee", fee)
                .value("total", reminder.amount + fee)
                .text("subject", format!("{}. Mahnung zu {}", reminder.level, reminder.invoice_number));
            self.put("dunning-notices", notice);
            if reminder.level < 3 && Rng::of("dun", number).chance(350) {
                self.reminders.push(Reminder { due: date.plus(14), level: reminder.level + 1, ..reminder });
            }
        }
    }

    /// What is paid from the drawer, with its receipt as a PDF; the sum.
    pub(super) fn spend(&mut self, day: &mut Day) -> Cents {
        if !day.rng.chance(210) {
            return Cents::ZERO;
        }
        let (supplier, purpose, rate, low, high) = day.rng.pick(SUPPLIERS);
        let gross = Cents(day.rng.between(low, high));
        let tax = gross.tax_at(rate);
        let number = self.number("expenses");
        let id = format!("exp_{number:05}");
        let spending = Object::document(&id, "Spending")
            .value("number", number)
            .plain("date", day.date)
            .value("zNumber", day.z)
            .text("supplier", supplier)
            .text("purpose", purpose)
            .value("gross", gross)
            .value("taxRate", rate)
            .value("net", gross - tax)
            .value("tax", tax)
            .text("paidFrom", "cash-drawer")
            .text("employeeId", OWNER.id());
        self.put("expenses", spending);
        let page = Page {
            title: supplier.to_owned(),
            lines: vec![
                format!("Quittung Nr. {}", 4_000 + number * 7),
                format!("Datum: {}", day.date),
                String::new(),
                format!("{purpose}: {} €", gross - tax),
                format!("Umsatzsteuer {rate} %: {tax} €"),
                format!("Summe: {gross} €"),
                String::new(),
                "Betrag bar erhalten. Vielen Dank für Ihren Einkauf!".to_owned(),
            ],
            seed: number,
        };
        let name = format!("Beleg {} {supplier} {}.pdf", day.date, number);
        self.attach("expenses", &id, name, "application/pdf", pdf::write(&page));
        gross
    }

    /// Vouchers as they stand at the end.
    pub(super) fn close_vouchers(&mut self) {
        for voucher in std::mem::take(&mut self.vouchers) {
            let state = match voucher.remaining {
                Cents::ZERO => "redeemed",
                rest if rest < voucher.value => "partly-redeemed",
                _ => "open",
            };
            let (receipt, date) = voucher.sold;
            // Three full years from the end of the year of sale: §§ 195, 199 BGB.
            let valid_until = Date::of(date.year() + 3, 12, 31);
            let redemptions = voucher.redemptions.into_iter().map(|(receipt, date, amount)| {
                Object::new().text("receiptId", receipt).plain("date", date).value("amount", amount)
            });
            let document = Object::document(&voucher.id, "Voucher")
                .value("number", voucher.id.trim_start_matches("vou_").parse().unwrap_or(0_i64))
                .text("code", voucher.code)
                .value("value", voucher.value)
                .value("remainingValue", voucher.remaining)
                .text("state", state)
                .plain("soldOn", date)
                .text("soldReceiptId", receipt)
                .plain("validUntil", valid_until)
                .list("redemptions", redemptions);
            self.put("vouchers", document);
        }
    }

    /// Customers as they stand at the end, with the papers of some.
    pub(super) fn close_accounts(&mut self) {
        for account in std::mem::take(&mut self.accounts) {
            let rng = &mut Rng::of("address", account.number);
            let (street, code, town) = people::address(rng);
            let customer = Object::document(&account.id(), "Customer")
                .value("number", account.number)
                .maybe("company", account.company)
                .text("firstName", account.first_name)
                .text("lastName", account.last_name)
                .text("street", street)
                .text("postalCode", code)
                .text("city", town)
                .text("country", "Deutschland")
                .text("phone", people::phone(rng))
                .plain("email", format!("kunde{}@example.org", account.number))
                .value("balance", account.balance)
                .value("bonusPoints", account.points)
                .value("newsletter", rng.chance(300));
            // An older till escaped all but ASCII; its bytes are kept.
            let customer = match account.number % 7 {
                0 => customer.escaped("note", "Möchte am Fenster sitzen / bitte kein Lärm 😊"),
                3 => customer.text("note", "Allergie: Nüsse, Sellerie\u{2028}Rückfragen an Büro"),
                _ => customer,
            };
            self.number("customers");
            self.put("customers", customer);
            if account.company.is_some() || account.number % 9 == 0 {
                let name = account.name();
                let page = Page {
                    title: "Vereinbarung über Rechnungskauf".to_owned(),
                    lines: vec![
                        format!("Kunde: {name} ({})", account.id()),
                        "Gasthaus Zum Goldenen Hirschen, Inh. Margarete Hirsch".to_owned(),
                        String::new(),
                        "1. Rechnungen sind innerhalb von 14 Tagen ohne Abzug zahlbar.".to_owned(),
                        "2. Guthaben wird auf Wunsch ausgezahlt.".to_owned(),
                        "3. Für Feiern ab 20 Personen gilt die Vorbestellung.".to_owned(),
                    ],
                    seed: 90_000 + account.number,
                };
                let file = format!("Vertrag & Anlagen {}.pdf", account.last_name);
                self.attach("customers", &account.id(), file, "application/pdf", pdf::write(&page));
            }
        }
    }
}

impl Voucher {
    /// Vouchers are given away first and come back after some days.
    fn is_open(&self, receipt: &Receipt) -> bool {
        self.remaining > Cents::ZERO && self.sold.1.plus(3) <= receipt.date
    }

    /// Pays with the voucher; the amount used.
    fn redeem(&mut self, receipt: &mut Receipt, rest: Cents) -> Cents {
        let used = self.remaining.min(rest);
        self.remaining -= used;
        self.redemptions.push((receipt.id(), receipt.closed, used));
        receipt.payments.push(Payment { voucher: Some(self.id.clone()), ..Payment::of("voucher", used) });
        used
    }
}

/// Cash or card, mostly with a tip.
pub(super) fn settle(rng: &mut Rng, receipt: &mut Receipt, rest: Cents, tips: bool) {
    let cash = rng.chance(430);
    let tipped = tips && receipt.table.is_some() && rng.chance(640);
    let amount = match (tipped, cash) {
        (false, _) => rest,
        (true, true) => (rest + rest.percent(4)).up_to(if rest < Cents(40_00) { 50 } else { 1_00 }),
        (true, false) => rest + rest.percent(rng.pick(&[5, 7, 10])).up_to(10),
    };
    receipt.tip = amount - rest;
    let given = cash.then(|| amount.up_to(rng.pick(&[1, 5_00, 10_00, 50_00])));
    receipt.payments.push(Payment { given, ..Payment::of(if cash { "cash" } else { "card" }, amount) });
}
