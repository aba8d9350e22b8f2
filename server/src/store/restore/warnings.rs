//! What a shopkeeper should think about before a restore: told from the documents that would change.

use dikas_archive::api::restore::RestoreWarning;
use serde::Deserialize;

/// Counts while documents are compared.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    orders: u64,
    vouchers: u64,
    voucher_cents: u64,
    customers: u64,
    raised: u64,
    lowered: u64,
}

impl Warnings {
    /// Takes notice of a document that would be `after` and is `now`; none where there is no such document.
    pub(super) fn note(&mut self, collection: &str, now: Option<&[u8]>, after: Option<&[u8]>) {
        match collection {
            "open-orders" => self.orders += u64::from(now.is_none() && after.is_some()),
            "vouchers" => {
                let (now, after) = (now.and_then(voucher), after.and_then(voucher));
                if let (Some(now), Some(after)) = (now, after)
                    && after.worth > now.worth
                {
                    self.vouchers += 1;
                    self.voucher_cents += after.worth.abs_diff(now.worth);
                } else if now.is_some_and(|it| it.redeemed) && after.is_some_and(|it| !it.redeemed) {
                    self.vouchers += 1;
                }
            }
            "customers" => {
                let [now, after] = [now, after].map(|body| body.and_then(balance).unwrap_or_default());
                self.customers += u64::from(now != after);
                *(if after > now { &mut self.raised } else { &mut self.lowered }) += after.abs_diff(now);
            }
            _ => {}
        }
    }

    /// What there is to say.
    pub(super) fn told(&self) -> Vec<RestoreWarning> {
        let &Self { orders, vouchers, voucher_cents: cents, customers, raised, lowered } = self;
        let all = [
            (orders > 0).then_some(RestoreWarning::OpenOrders { orders }),
            (vouchers > 0).then_some(RestoreWarning::Vouchers { vouchers, cents }),
            (customers > 0).then_some(RestoreWarning::Balances { customers, raised, lowered }),
        ];
        all.into_iter().flatten().collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Voucher {
    /// In cents.
    worth: i64,
    redeemed: bool,
}

fn voucher(body: &[u8]) -> Option<Voucher> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields {
        remaining_value: Option<f64>,
        state: Option<String>,
    }
    let fields: Fields = serde_json::from_slice(body).ok()?;
    let redeemed = match fields.state {
        Some(state) => state == "redeemed",
        None => fields.remaining_value == Some(0.0),
    };
    Some(Voucher { worth: cents(fields.remaining_value.unwrap_or_default()), redeemed })
}

fn balance(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Fields {
        balance: f64,
    }
    serde_json::from_slice::<Fields>(body).ok().map(|fields| cents(fields.balance))
}

/// An amount in euros as cents. A warning needs no more than a double gives.
#[allow(clippy::cast_possible_truncation, reason = "a conversion of floats saturates")]
fn cents(euros: f64) -> i64 {
    (euros * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_counts_what_comes_back_to_life() {
        let mut warnings = Warnings::default();
        warnings.note("open-orders", None, Some(b"{}"));
        warnings.note("open-orders", Some(b"{}"), Some(b"{} "));
        warnings.note("open-orders", Some(b"{}"), None);
        let voucher = |value: &str, state: &str| format!(r#"{{"remainingValue":{value},"state":"{state}"}}"#);
        let (redeemed, open) = (voucher("0.00", "redeemed"), voucher("19.99", "open"));
        warnings.note("vouchers", Some(redeemed.as_bytes()), Some(open.as_bytes()));
        warnings.note("vouchers", Some(open.as_bytes()), Some(redeemed.as_bytes()));
        warnings.note("vouchers", None, Some(open.as_bytes()));
        let customer = |balance: &str| format!(r#"{{"balance":{balance}}}"#).into_bytes();
        warnings.note("customers", Some(&customer("10.10")), Some(&customer("0.20")));
        warnings.note("customers", Some(&customer("1")), Some(&customer("1.00")));
        warnings.note("customers", None, Some(&customer("5")));
        let expected = [
            RestoreWarning::OpenOrders { orders: 1 },
            RestoreWarning::Vouchers { vouchers: 1, cents: 1999 },
            RestoreWarning::Balances { customers: 2, raised: 500, lowered: 990 },
        ];
        assert_eq!(warnings.told(), expected);
    }
}
