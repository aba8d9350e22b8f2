//! Receipts: what was sold, how it was taxed and paid, and what a technical security device would have signed.

use super::calendar::{Date, Moment};
use super::json::{Object, tax_row};
use super::menu::{Article, Kind};
use super::money::Cents;
use super::people::Employee;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;

/// SHA-256 of a public key in a real device; here plainly none.
pub(super) const TSE_SERIAL: &str = "de300000000000000000000000000000000000000000000000000000000de300";
/// The till that all receipts come from.
pub(super) const CLIENT_ID: &str = "KASSE-01";

/// A position of a receipt.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) article: Article,
    pub(super) quantity: i64,
    pub(super) unit: Cents,
    pub(super) rate: u8,
    /// Discount in percent.
    pub(super) discount: i64,
    pub(super) option: Option<&'static str>,
    pub(super) note: Option<&'static str>,
    /// The voucher that this position sells.
    pub(super) voucher: Option<String>,
}

impl Line {
    pub(super) fn of(article: Article, on: Date, in_house: bool) -> Self {
        let (unit, rate) = (article.price(on), article.tax_rate(on, in_house));
        Self { article, quantity: 1, unit, rate, discount: 0, option: None, note: None, voucher: None }
    }

    fn rebate(&self) -> Cents {
        (self.unit * self.quantity).percent(self.discount)
    }

    pub(super) fn total(&self) -> Cents {
        self.unit * self.quantity - self.rebate()
    }

    pub(super) fn object(&self, position: usize) -> Object {
        let mut object = Object::new()
            .value("position", position)
            .text("articleId", self.article.id())
            .text("name", self.article.name)
            .value("quantity", self.quantity)
            .value("unitPrice", self.unit)
            .value("taxRate", self.rate);
        if self.discount > 0 {
            let discount = Object::new().value("percent", self.discount).value("amount", self.rebate());
            object = object.object("discount", discount);
        }
        object
            .maybe("option", self.option)
            .maybe("note", self.note)
            .maybe("voucherId", self.voucher.as_ref())
            .value("total", self.total())
    }
}

/// A share of the payment.
#[derive(Clone)]
pub(super) struct Payment {
    /// `cash`, `card`, `voucher`, `customer-credit` or `invoice`.
    pub(super) kind: &'static str,
    /// Tip included.
    pub(super) amount: Cents,
    /// What was handed over, if cash.
    pub(super) given: Option<Cents>,
    /// The voucher redeemed.
    pub(super) voucher: Option<String>,
}

impl Payment {
    pub(super) fn of(kind: &'static str, amount: Cents) -> Self {
        Self { kind, amount, given: None, voucher: None }
    }

    fn object(&self) -> Object {
        let object = Object::new().text("type", self.kind).value("amount", self.amount);
        let object = match self.given {
            Some(given) => object.value("given", given).value("change", given - self.amount),
            None => object,
        };
        object.maybe("voucherId", self.voucher.as_ref())
    }
}

/// A receipt before it is written.
#[derive(Clone)]
pub(super) struct Receipt {
    pub(super) number: i64,
    pub(super) z: i64,
    pub(super) date: Date,
    pub(super) opened: Moment,
    pub(super) closed: Moment,
    pub(super) employee: Employee,
    pub(super) table: Option<i64>,
    pub(super) guests: i64,
    pub(super) in_house: bool,
    pub(super) customer: Option<String>,
    pub(super) disco_guest: Option<String>,
    pub(super) lines: Vec<Line>,
    pub(super) payments: Vec<Payment>,
    pub(super) tip: Cents,
    pub(super) note: Option<&'static str>,
    /// Number of the receipt that this one takes back, and why.
    pub(super) voids: Option<(i64, &'static str)>,
}

/// The id of the receipt with this number.
pub(super) fn receipt_id(number: i64) -> String {
    format!("rcp_{number:08}")
}

impl Receipt {
    pub(super) fn id(&self) -> String {
        receipt_id(self.number)
    }

    /// What was sold, without the tip.
    pub(super) fn total(&self) -> Cents {
        self.lines.iter().map(Line::total).sum()
    }

    /// Gross and tax per rate. The tax is rounded once per receipt and rate.
    pub(super) fn taxes(&self) -> BTreeMap<u8, (Cents, Cents)> {
        let mut taxes = BTreeMap::<u8, (Cents, Cents)>::new();
        for line in &self.lines {
            taxes.entry(line.rate).or_default().0 += line.total();
        }
        taxes.iter_mut().for_each(|(rate, (gross, tax))| *tax = gross.tax_at(*rate));
        taxes
    }

    /// Whether it can be taken back without touching vouchers, credit or invoices.
    pub(super) fn is_simple(&self) -> bool {
        let everyday = |line: &Line| matches!(line.article.kind(), Kind::Food | Kind::Drink);
        self.lines.iter().all(everyday)
            && self.customer.is_none()
            && self.disco_guest.is_none()
            && self.payments.iter().all(|payment| matches!(payment.kind, "cash" | "card"))
    }

    /// The receipt that takes this one back.
    pub(super) fn void(&self, number: i64, closed: Moment, reason: &'static str) -> Self {
        let mut void = self.clone();
        (void.number, void.voids, void.note) = (number, Some((self.number, reason)), None);
        (void.opened, void.closed) = (closed.plus(-20), closed);
        void.lines.iter_mut().for_each(|line| line.quantity = -line.quantity);
        for payment in &mut void.payments {
            (payment.amount, payment.given) = (-payment.amount, None);
        }
        void.tip = -self.tip;
        void
    }

    /// The document.
    pub(super) fn object(&self) -> Object {
        let table = self.table.map(|table| format!("tbl_{table:02}"));
        let mut object = Object::document(&self.id(), "Receipt2")
            .value("receiptNumber", self.number)
            .value("zNumber", self.z)
            .plain("businessDate", self.date)
            .plain("openedAt", self.opened)
            .plain("closedAt", self.closed)
            .value("inHouse", self.in_house)
            .maybe("tableId", table)
            .value("guests", self.guests)
            .text("employeeId", self.employee.id())
            .maybe("customerId", self.customer.as_ref())
            .maybe("discoGuestId", self.disco_guest.as_ref())
            .maybe("note", self.note);
        if let Some((number, reason)) = self.voids {
            let of = Object::new().plain("receiptId", receipt_id(number)).value("receiptNumber", number);
            object = object.object("voids", of.text("reason", reason));
        }
        object
            .list("lines", self.lines.iter().enumerate().map(|(at, line)| line.object(at + 1)))
            .value("total", self.total())
            .list("taxes", self.taxes().into_iter().map(|(rate, (gross, tax))| tax_row(rate, gross, tax)))
            .value("tip", self.tip)
            .list("payments", self.payments.iter().map(Payment::object))
            .object("fiscal", self.fiscal())
    }

    /// The fields of KassenSichV § 6 in the words of DSFinV-K 2.4, appendix I.
    fn fiscal(&self) -> Object {
        let data = self.process_data();
        let (transaction, counter) = (self.number, 2 * self.number);
        let signed = format!("{CLIENT_ID};{transaction};{counter};{};{};{data}", self.opened, self.closed);
        Object::new()
            .text("clientId", CLIENT_ID)
            .text("processType", "Kassenbeleg-V1")
            .text("processData", data)
            .value("transactionNumber", transaction)
            .value("signatureCounter", counter)
            .plain("logTimeStart", self.opened)
            .plain("logTimeEnd", self.closed)
            .plain("signature", STANDARD.encode(Sha512::digest(signed.as_bytes())))
            .text("tseSerial", TSE_SERIAL)
    }

    /// `Beleg^19 %_7 %_10.7 %_5.5 %_0 %^payments`. Tips count as turnover at 0 %, so both sides have the same sum.
    fn process_data(&self) -> String {
        let taxes = self.taxes();
        let gross = |rate| taxes.get(&rate).map_or(Cents::ZERO, |(gross, _)| *gross);
        let (full, reduced, free) = (gross(19), gross(7), gross(0) + self.tip);
        let sum = |cash: bool| -> Option<Cents> {
            let mut amounts =
                self.payments.iter().filter(|payment| (payment.kind == "cash") == cash).peekable();
            amounts.peek()?;
            Some(amounts.map(|payment| payment.amount).sum())
        };
        let payments: Vec<_> = [(sum(true), "Bar"), (sum(false), "Unbar")]
            .into_iter()
            .filter_map(|(amount, name)| amount.map(|amount| format!("{amount}:{name}")))
            .collect();
        format!("Beleg^{full}_{reduced}_0.00_0.00_{free}^{}", payments.join("_"))
    }
}

/// What a day or an employee has sold.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) count: i64,
    pub(super) void_count: i64,
    pub(super) void_total: Cents,
    pub(super) total: Cents,
    pub(super) tips: Cents,
    pub(super) taxes: BTreeMap<u8, (Cents, Cents)>,
    pub(super) payments: BTreeMap<&'static str, (Cents, i64)>,
}

impl Totals {
    pub(super) fn add(&mut self, receipt: &Receipt) {
        self.count += 1;
        self.total += receipt.total();
        self.tips += receipt.tip;
        if receipt.voids.is_some() {
            self.void_count += 1;
            self.void_total += receipt.total();
        }
        for (rate, (gross, tax)) in receipt.taxes() {
            let sums = self.taxes.entry(rate).or_default();
            (sums.0, sums.1) = (sums.0 + gross, sums.1 + tax);
        }
        for payment in &receipt.payments {
            let sums = self.payments.entry(payment.kind).or_default();
            (sums.0, sums.1) = (sums.0 + payment.amount, sums.1 + 1);
        }
    }

    /// What came in through this way of payment.
    pub(super) fn paid(&self, kind: &str) -> Cents {
        self.payments.get(kind).map_or(Cents::ZERO, |(amount, _)| *amount)
    }

    /// Adds counts and sums to a day close or a shift.
    pub(super) fn write(&self, object: Object) -> Object {
        let taxes = self.taxes.iter().map(|(rate, (gross, tax))| tax_row(*rate, *gross, *tax));
        let payments = self.payments.iter().map(|(kind, (amount, count))| {
            Object::new().text("type", kind).value("amount", amount).value("count", count)
        });
        object
            .value("receiptCount", self.count)
            .value("voidCount", self.void_count)
            .value("voidTotal", self.void_total)
            .value("total", self.total)
            .list("taxes", taxes)
            .list("payments", payments)
            .value("tips", self.tips)
    }
}
