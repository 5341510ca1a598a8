//! Nothing of its own: this package holds the tests that span services, in `tests/`.
