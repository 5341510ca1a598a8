//! The tests that every operation must have, as far as they can be named beforehand: `cargo chat new-operation` writes their
//! first form, and the test `every_operation_has_the_tests_that_each_must_have` demands them.

use crate::contract::Rpc;

/// A test that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obligation {
    /// A repeat changes nothing.
    Repeat,
    /// A foreign conversation and a missing one are refused alike.
    Foreign,
    /// Every bad field is named.
    BadFields,
    /// A call without a token is refused.
    Token,
    /// What it costs in round trips is counted by a proxy.
    Costs,
}

impl Obligation {
    /// Those of an RPC, in the order in which they are written.
    pub fn of(rpc: &Rpc) -> Vec<Self> {
        let has_fields = !rpc.request.field.is_empty();
        [
            (Self::Repeat, !rpc.only_reads && has_fields),
            (Self::Foreign, rpc.has_field("conversation_id")),
            (Self::BadFields, has_fields),
            (Self::Token, true),
            (Self::Costs, true),
        ]
        .into_iter()
        .filter_map(|(obligation, is_due)| is_due.then_some(obligation))
        .collect()
    }

    /// What the name of the test says.
    pub fn word(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Foreign => "refused_alike",
            Self::BadFields => "bad_",
            Self::Token => "without_a_token",
            Self::Costs => "_costs_",
        }
    }
}
