//! What a member may see of a conversation's messages.

/// What a member may see. Whatever shows messages to someone asks this one type: pages, quotes, previews, single messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Window {
    visible_from_seq: i64,
}

impl Window {
    /// What a member may see whose window begins above this seq.
    pub fn above(visible_from_seq: i64) -> Self {
        Self { visible_from_seq }
    }

    /// Whether the member may see the message with this seq.
    pub fn shows(self, seq: i64) -> bool {
        seq > self.visible_from_seq
    }

    /// The seq above which the member sees messages; 0 when they see all.
    pub fn edge(self) -> i64 {
        self.visible_from_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_above_its_edge() {
        assert!(Window::default().shows(1));
        let window = Window::above(7);
        assert_eq!((window.shows(7), window.shows(8), window.edge()), (false, true, 7));
    }
}
