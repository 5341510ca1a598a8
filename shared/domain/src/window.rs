//! What a member may see of a conversation.

/// What a member may see. Whatever shows messages or changes to someone asks this one type: pages, quotes, previews, single
/// messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Window {
    visible_from_seq: i64,
    visible_from_revision: i64,
}

impl Window {
    /// What a member may see whose window begins above this seq, and above this revision.
    pub fn above(visible_from_seq: i64, visible_from_revision: i64) -> Self {
        Self {
            visible_from_seq,
            visible_from_revision,
        }
    }

    /// Whether the member may see the message with this seq.
    pub fn shows(self, seq: i64) -> bool {
        seq > self.visible_from_seq
    }

    /// The seq above which the member sees messages; 0 when they see all.
    pub fn edge(self) -> i64 {
        self.visible_from_seq
    }

    /// The revision above which the member sees changes; 0 when they see all.
    pub fn edge_revision(self) -> i64 {
        self.visible_from_revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_above_its_edge() {
        assert!(Window::default().shows(1));
        let window = Window::above(7, 9);
        assert_eq!((window.shows(7), window.shows(8), window.edge()), (false, true, 7));
        assert_eq!(window.edge_revision(), 9);
    }
}
