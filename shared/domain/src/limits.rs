//! Every limit of the product that more than one place needs to know.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How much of something is allowed: so many at once, and one more after each `refill`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// How many at once.
    pub at_once: u32,
    /// After how long there is one more.
    pub refill: Duration,
}

/// Characters in a message's text, at most.
pub const MESSAGE_TEXT_CHARS_MAX: usize = 4_000;
/// Characters of a message that a reply or a list shows.
pub const EXCERPT_CHARS_MAX: usize = 140;
/// Characters that are read for an excerpt: the one after its last tells whether that is whole.
pub const EXCERPT_CHARS_READ: usize = EXCERPT_CHARS_MAX + 1;
/// Characters in a display name, at most.
pub const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// Bytes in an avatar URL, at most.
pub const AVATAR_URL_BYTES_MAX: usize = 512;
/// Bytes in a user id, at most.
pub const USER_ID_BYTES_MAX: usize = 128;
/// Bytes in a client message id, at most.
pub const CLIENT_MESSAGE_ID_BYTES_MAX: usize = 64;

/// Entries on a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: u32 = 50;
/// Entries on a page, at most; larger sizes are clamped.
pub const PAGE_SIZE_MAX: u32 = 100;
/// Bytes in a page token, at most.
pub const PAGE_TOKEN_BYTES_MAX: usize = 512;

/// Profiles that one call reads, at most.
pub const PROFILES_PER_CALL_MAX: usize = 100;
/// Friends and own open requests of one user, at most.
pub const FRIENDS_MAX: i32 = 5_000;
/// Open requests that one user has to answer, at most.
pub const FRIEND_REQUESTS_MAX: i32 = 1_000;
/// How often a user may ask the same other one, whatever became of it.
pub const FRIEND_REQUESTS_AGAIN: Budget = Budget {
    at_once: 3,
    refill: Duration::from_hours(1),
};
/// Characters in a group's name, at most.
pub const GROUP_NAME_CHARS_MAX: usize = 100;
/// Characters in a group's description, at most.
pub const GROUP_DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Members of a group, at most.
pub const GROUP_MEMBERS_MAX: i32 = 10_000;
/// Members of a conversation whom one call names, at most. Where there are more, they are told through a queue; how far each has
/// read is told to nobody else, and what has reached their devices is not kept.
pub const NAMED_MEMBERS_MAX: usize = 100;
/// Members of a group whom one message of that queue is for, about.
pub const MEMBERS_PER_DELIVERY: usize = 1_000;
/// Users that one call adds to a group, at most.
pub const GROUP_MEMBERS_PER_CALL_MAX: usize = 100;
/// Members of a group that lists and the feed name.
pub const GROUP_MEMBERS_LISTED: usize = 10;
/// Invites of a group that can be used, at most.
pub const GROUP_INVITES_MAX: i32 = 50;
/// Uses that an invite can be limited to, at most.
pub const INVITE_USES_MAX: i32 = 10_000;
/// For how long an invite can be used, at least and at most, unless it is for ever.
pub const INVITE_VALID_FOR: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 365);
/// Users who ask to join a group, at most.
pub const JOIN_REQUESTS_MAX: i32 = 1_000;
/// Changes of a group that a page of its history tells, at most.
pub const GROUP_CHANGES_PER_PAGE_MAX: usize = 100;
/// Conversations of one user, at most.
pub const CONVERSATIONS_MAX: i32 = 10_000;
/// Conversations that one user has pinned, at most.
pub const PINNED_CONVERSATIONS_MAX: i32 = 100;

/// What a user may write: messages, read positions, their profile, conversations.
pub const WRITE_BUDGET: Budget = Budget {
    at_once: 2_000,
    refill: Duration::from_millis(10),
};
/// What a user may read that costs more than a look: lists, and syncs that start over.
pub const READ_BUDGET: Budget = Budget {
    at_once: 6_000,
    refill: Duration::from_millis(5),
};
/// What a user may ask of strangers: friend requests and answers to them.
pub const INVITE_BUDGET: Budget = Budget {
    at_once: 100,
    refill: Duration::from_secs(5),
};

/// Unread messages are counted exactly below this; this many means "or more".
pub const UNREAD_COUNT_MAX: i64 = 1_000;

/// Unread messages of all conversations together are counted up to this; this many means "or more".
pub const UNREAD_TOTAL_MAX: i64 = 10_000;

/// Conversations in one sync, at most.
pub const SYNC_CURSORS_MAX: usize = 200;
/// Changes in one sync over all its conversations, at most.
pub const SYNC_CHANGES_MAX: usize = 500;
/// Bytes of message text and of members in one sync, about, at most: well below what Lambda answers.
pub const SYNC_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A client that is further behind than this many revisions starts over.
pub const SYNC_BACKLOG_MAX: i64 = 1_000;
/// Changes of a user's own feed on one page.
pub const FEED_PAGE_SIZE: usize = 200;
/// Holes that one call closes, at most.
pub const VOIDS_MAX: usize = 64;
/// The sender of every so many places makes sure, after the answer, that those before are taken.
pub const SEAL_EVERY: i64 = 128;
/// Places that one sealing looks at, at most.
pub const SEAL_PLACES_MAX: i64 = 1_024;
/// Places that one sync counts, at most, before clients start over above them. With those that it reads one by one, below,
/// that is what one call costs at most.
pub const RESTART_PLACES_MAX: i64 = 180_000;
/// Places that are counted with one call of the timeline, at most: a slow one still counts so many in its time.
pub const RESTART_PLACES_AT_ONCE_MAX: i64 = 20_000;
/// Places that one sync reads one by one, at most, where some turned out to be missing.
pub const RESTART_PLACES_READ_MAX: i64 = 16_384;
/// Conversations that a list seals after its answer, or a sync before it, at most.
pub const SEALED_PER_CALL_MAX: usize = 16;
/// How far below the newest message, by seq, a list looks for one that is stored.
pub const PREVIEW_BACKLOG_MAX: i64 = 64;
/// How long a page of history waits for a message that is being written, again and again, before it ends below it.
pub const PAGE_WAITS: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(180),
];
/// A revision that has been missing for this long was abandoned by its writer.
pub const HOLE_AGE_MAX: Duration = Duration::from_secs(3);

/// Bytes of one push, at most; a larger event becomes a poke.
pub const PUSH_BYTES_MAX: usize = 32 * 1024;
/// An event older than this is delivered as a poke.
pub const PUSH_AGE_MAX: Duration = Duration::from_secs(10);

/// Live connections of one user, at most; one more replaces the one that has been quiet for longest.
pub const CONNECTIONS_PER_USER_MAX: usize = 16;
/// How long a live ticket works.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);
/// Live tickets that one user who has rested gets at once, at most: all devices twice.
pub const TICKETS_AT_ONCE_MAX: u32 = 32;
/// How often a user gets a live ticket after that.
pub const TICKET_INTERVAL: Duration = Duration::from_secs(5);
/// Frames that a live connection that has rested may send at once, at most.
pub const FRAMES_AT_ONCE_MAX: u32 = 20;
/// How often a live connection may send a frame after that: 20 in 10 seconds.
pub const FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// How long API Gateway keeps a WebSocket connection.
pub const CONNECTION_LIFETIME: Duration = Duration::from_hours(2);
