//! Every limit of the product that more than one place needs to know.

use std::time::Duration;

/// Characters in a message's text, at most.
pub const MESSAGE_TEXT_CHARS_MAX: usize = 4_000;
/// Characters of a message that a reply or a list shows.
pub const EXCERPT_CHARS_MAX: usize = 140;
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
pub const FRIENDS_MAX: i64 = 5_000;

/// Conversations in one sync, at most.
pub const SYNC_CURSORS_MAX: usize = 200;
/// Changes in one sync over all its conversations, at most.
pub const SYNC_CHANGES_MAX: usize = 500;
/// Bytes of message text in one sync, about, at most: well below what Lambda answers.
pub const SYNC_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A client that is further behind than this many revisions starts over.
pub const SYNC_BACKLOG_MAX: i64 = 1_000;
/// How far below the head a client that starts over may have to begin its sync, when something there is still being
/// written; more writes than this are never in flight in one conversation.
pub const SYNC_RESTART_BACKLOG: i64 = 100;
/// Holes that one sync closes, at most.
pub const SYNC_VOIDS_MAX: usize = 64;
/// Holes far below the head that one sync closes, at most, before a client starts over above them.
pub const SYNC_PREFIX_VOIDS_MAX: usize = 1_000;
/// A revision that has been missing for this long was abandoned by its writer.
pub const HOLE_AGE_MAX: Duration = Duration::from_secs(3);

/// Members of a conversation that an answer names, at most.
pub const MEMBERS_SHOWN_MAX: usize = 100;
/// Members that are notified with the answer of a write, at most; more go through a queue.
pub const DELIVERY_MEMBERS_MAX: usize = 100;
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
