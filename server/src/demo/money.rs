//! Amounts in cents, and the two places where they are rounded.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

/// An amount in euro cents; written with two decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cents(pub(super) i64);

impl Cents {
    pub(super) const ZERO: Self = Self(0);

    /// The tax that a gross amount contains, to the cent, halves away from zero.
    pub(super) fn tax_at(self, rate: u8) -> Self {
        let rate = i64::from(rate);
        Self(divide(self.0 * rate, 100 + rate))
    }

    /// So many percent of an amount, to the cent, halves away from zero.
    pub(super) fn percent(self, percent: i64) -> Self {
        Self(divide(self.0 * percent, 100))
    }

    /// The next multiple of `step` that is not less.
    pub(super) fn up_to(self, step: i64) -> Self {
        Self((self.0 + step - 1).div_euclid(step) * step)
    }
}

fn divide(value: i64, by: i64) -> i64 {
    value.signum() * ((2 * value.abs() + by) / (2 * by))
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl Add for Cents {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<i64> for Cents {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0 * times)
    }
}

impl Neg for Cents {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Cents {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Cents {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::Cents;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(Cents(119_00).tax_at(19), Cents(19_00));
        assert_eq!(Cents(107).tax_at(7), Cents(7));
        assert_eq!(Cents(10).percent(25), Cents(3));
        assert_eq!(Cents(-10).percent(25), Cents(-3));
        assert_eq!(Cents(9).percent(5), Cents(0));
    }

    #[test]
    fn amounts_are_written_with_two_decimals() {
        let written = [0, 5, -5, 100, -1_205].map(|cents| Cents(cents).to_string());
        assert_eq!(written, ["0.00", "0.05", "-0.05", "1.00", "-12.05"]);
    }
}
