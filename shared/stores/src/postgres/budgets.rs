//! How much each user may ask: what a call takes out of their budget is told to Postgres, which keeps it.

use std::time::Duration;

use chat_domain::Budget;
use chat_operation::{Failure, Settings, SettingsError};

const USER_BUDGET_FACTOR: &str = "USER_BUDGET_FACTOR";
const USER_BUDGET_FACTOR_FORM: &str = "a number above 0 by which all budgets of users are multiplied, such as 1 or 2.5";

/// By how much this deployment multiplies the budgets of users.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budgets {
    factor: f64,
}

/// What a call costs, and how much may be used up before it, in microseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Charge {
    pub(super) call_us: i64,
    pub(super) burst_us: i64,
}

/// A user called more often than they may. Nothing was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the user's budget is used up for {} ms", wait.as_millis())]
pub struct OutOfBudget {
    /// How long until the next call is in their budget.
    pub wait: Duration,
}

impl OutOfBudget {
    /// What Postgres says when it refuses a call.
    pub(super) fn after(wait_us: i64) -> Self {
        Self {
            wait: Duration::from_micros(wait_us.unsigned_abs()),
        }
    }
}

/// The user called more often than they may; nothing was done.
impl From<OutOfBudget> for Failure {
    fn from(OutOfBudget { wait }: OutOfBudget) -> Self {
        Self::resource_exhausted(
            "RATE_LIMITED",
            format!(
                "you call too often; nothing was done; call again in {} ms",
                wait.as_millis()
            ),
        )
        .with_retry_after(wait)
    }
}

impl Budgets {
    /// The factor `USER_BUDGET_FACTOR`; 1 when it is not set.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let Some(value) = settings.get(USER_BUDGET_FACTOR) else {
            return Ok(Self { factor: 1.0 });
        };
        let factor = value.parse().ok().filter(|factor: &f64| (1e-6..=1e6).contains(factor));
        let factor = factor.ok_or_else(|| SettingsError::Invalid {
            name: USER_BUDGET_FACTOR,
            expected: USER_BUDGET_FACTOR_FORM,
            problem: "it is no such number".to_owned(),
        })?;
        Ok(Self { factor })
    }

    /// What a call out of this budget costs here.
    pub(super) fn charge(self, budget: Budget) -> Charge {
        let at_once = f64::from(budget.at_once) * self.factor;
        let call_us = budget.refill.as_secs_f64() * 1e6 / self.factor;
        Charge {
            call_us: whole(call_us).max(1),
            // The call itself comes on top, so that exactly `at_once` are allowed.
            burst_us: whole((at_once.floor() - 1.0).max(0.0) * call_us),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self { factor: 1.0 }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast saturates, and the factor is bounded"
)]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget {
        at_once: 10,
        refill: Duration::from_millis(100),
    };

    fn budgets(factor: &str) -> Result<Budgets, SettingsError> {
        Budgets::new(&Settings::default().with(USER_BUDGET_FACTOR, factor))
    }

    #[test]
    fn a_budget_is_what_is_allowed_at_once_and_how_fast_it_refills() {
        let charge = Charge {
            call_us: 100_000,
            burst_us: 900_000,
        };
        assert_eq!(Budgets::default().charge(BUDGET), charge);
        assert_eq!(budgets("").unwrap().charge(BUDGET), charge);
        let twice = Charge {
            call_us: 50_000,
            burst_us: 950_000,
        };
        assert_eq!(budgets("2").unwrap().charge(BUDGET), twice);
        assert_eq!(budgets("0.01").unwrap().charge(BUDGET).burst_us, 0);
    }

    #[test]
    fn a_factor_that_is_none_is_a_bad_setting() {
        for bad in ["0", "-1", "x", "NaN", "inf", "1e300"] {
            let error = budgets(bad).unwrap_err();
            assert!(
                error.to_string().starts_with("USER_BUDGET_FACTOR is not a number"),
                "{error}"
            );
        }
    }
}
