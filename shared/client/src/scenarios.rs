//! What a client knows after each of many steps, in files that the Rust client and the browser's are both held to: live
//! events and answers in, state out. Those named `random-…` were drawn, also such as no correct service would send.
//!
//! With `CHAT_WRITE_SCENARIOS=1` the test writes what follows from the steps into the files, and draws the random ones anew;
//! the diff shows what a change of the rules means.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use chat_contract::json::{self, Schema};
use chat_contract::v1::FriendState;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::book::{Asked, Book, History, Load, Wants};
use crate::timeline::{Phase, Timeline};

const WRITE: &str = "CHAT_WRITE_SCENARIOS";
/// Scenarios that are drawn, and steps of each.
const DRAWN: (u64, usize) = (16, 40);
/// How much later each step is than the one before.
const STEP: Duration = Duration::from_millis(200);

/// A client that goes through a scenario.
struct Run {
    book: Book,
    now: Instant,
    asked: Option<Asked>,
    loads: Vec<Load>,
}

fn read<M: Schema + Default>(value: &Value) -> M {
    json::decode(value.to_string().as_bytes()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step[name].as_str().unwrap()
}

impl Run {
    fn new(user: &str) -> Self {
        let mut book = Book::new(History::OnDemand);
        book.take_user_id(user);
        Self {
            book,
            now: Instant::now(),
            asked: None,
            loads: Vec::new(),
        }
    }

    /// Does a step, and says what it led to and what is known then.
    fn step(&mut self, step: &Value) -> String {
        self.now += STEP;
        let said = match text(step, "do") {
            "hear" => match self.book.take_event(read(&step["event"])) {
                Wants::Nothing => "nothing".to_owned(),
                Wants::GapSync => "gapSync".to_owned(),
                Wants::Sync => "sync".to_owned(),
            },
            "open" => self.book.open(text(step, "conversation")).to_string(),
            "close" => {
                self.book.close(text(step, "conversation"));
                String::new()
            }
            "mark" => {
                let seq = step["seq"].as_i64().unwrap();
                format!("{:?}", self.book.mark_read(text(step, "conversation"), seq))
                    .replace("Some(", "")
                    .replace(')', "")
                    .replace("None", "-")
            }
            "marked" => {
                self.book.take_mark(text(step, "conversation"), &read(&step["answer"]));
                String::new()
            }
            "sent" => {
                self.book.take_sent(&read(&step["message"]));
                String::new()
            }
            "sync" => {
                self.book.begin_sync();
                self.ask()
            }
            "ask" => self.ask(),
            "answer" => self.asked.take().map_or_else(String::new, |asked| {
                let is_complete = self.book.take_answer(&asked, &read(&step["answer"]), self.now);
                is_complete.to_string()
            }),
            "load" => {
                while let Some(load) = self.book.next_load() {
                    self.loads.push(load);
                }
                let mut loads: Vec<_> = self
                    .loads
                    .iter()
                    .map(|load| format!("{}@{}", load.conversation_id, load.cursor.revision))
                    .collect();
                loads.sort();
                loads.join(",")
            }
            "page" => {
                let id = text(step, "conversation");
                let place = self.loads.iter().position(|load| *load.conversation_id == *id);
                if let Some(place) = place {
                    let load = self.loads.remove(place);
                    let page = step.get("page").map(|page| vec![read(page)]);
                    self.book.take_history(&load, page);
                }
                self.book.has_fresh().to_string()
            }
            "older" => {
                let id = text(step, "conversation");
                let below = self.book.state().conversation(id).and_then(Timeline::oldest_seq);
                self.book.take_older_page(id, below, read(&step["page"]));
                String::new()
            }
            other => panic!("there is no step {other}"),
        };
        let known = self.known();
        if said.is_empty() {
            known
        } else {
            format!("{said} | {known}")
        }
    }

    fn ask(&mut self) -> String {
        self.asked = self.book.next_call(self.now);
        let Some(asked) = &self.asked else {
            return "no call".to_owned();
        };
        let cursors = asked.request.cursors.iter().map(|it| {
            format!(
                "{}@{}/{}/{}",
                it.conversation_id, it.revision, it.joined_revision, it.epoch
            )
        });
        let feed = asked.request.feed.unwrap_or_default();
        format!(
            "ask {} feed {}/{}/{}",
            cursors.collect::<Vec<_>>().join(","),
            feed.revision,
            feed.epoch,
            feed.listing_through
        )
    }

    fn known(&self) -> String {
        let state = self.book.state();
        let mut friends: Vec<_> = state
            .friends()
            .map(|friend| {
                let stands = match friend.state() {
                    FriendState::Unspecified => "none",
                    FriendState::RequestSent => "requestSent",
                    FriendState::RequestReceived => "requestReceived",
                    FriendState::Accepted => "accepted",
                };
                format!("{}:{stands}", friend.user_id)
            })
            .collect();
        friends.sort();
        let mut known = format!("gap {} friends {}", self.book.has_gap(), friends.join(","));
        let mut timelines: Vec<_> = state.conversations().collect();
        timelines.sort_by_key(|timeline| timeline.conversation_id().to_owned());
        for timeline in timelines {
            let _ = write!(known, " | {}", described(timeline));
        }
        known
    }
}

fn described(timeline: &Timeline) -> String {
    let phase = match timeline.phase() {
        Phase::Closed => "closed",
        Phase::Starting => "starting",
        Phase::Paging => "paging",
        Phase::Loaded => "loaded",
    };
    let shown: Vec<_> = timeline
        .messages()
        .map(|message| format!("{}^{}", message.seq, message.state_revision))
        .collect();
    let voids: Vec<_> = timeline.voids().map(|void| void.to_string()).collect();
    let positions: Vec<_> = timeline
        .read_positions()
        .map(|(user, seq)| format!("{user}:{seq}/{}", timeline.delivered_position(user).unwrap_or_default()))
        .collect();
    let last = timeline.last_message().map_or(0, |last| last.seq);
    let group = timeline.group().map_or_else(String::new, |group| {
        let roles: Vec<_> = timeline
            .roles()
            .map(|(user, role)| format!("{user}:{}", role as i32))
            .collect();
        let changes: Vec<_> = timeline
            .group_changes()
            .map(|change| change.revision.to_string())
            .collect();
        format!(
            " group {}^{}/{} role {} roles {} changes [{}]",
            group.name,
            group.state_revision,
            group.member_count,
            group.role,
            roles.join(","),
            changes.join(" ")
        )
    });
    let settings = timeline.settings();
    let own = format!(
        "{}{}{}{}{} above {}^{}",
        settings.muted_until.map_or(0, |until| until.seconds),
        if settings.archived { " archived" } else { "" },
        if settings.pinned { " pinned" } else { "" },
        if timeline.is_marked_unread() { " flagged" } else { "" },
        if timeline.is_hidden() { " hidden" } else { "" },
        settings.visible_from_seq,
        settings.revision,
    );
    format!(
        "{} {phase} cursor {} head {} whole {} older {} from {} shows [{}] voids [{}] last {last} unread {} read {} unsent {} members {} own {own}{group}",
        timeline.conversation_id(),
        timeline.cursor_revision(),
        timeline.head(),
        timeline.is_whole(),
        timeline.has_older(),
        timeline.known_from(),
        shown.join(" "),
        voids.join(" "),
        timeline.unread_count(),
        timeline.read_seq(),
        timeline.unsent_mark().unwrap_or_default(),
        positions.join(","),
    )
}

/// Draws steps, most of them about one conversation.
struct Draw(StdRng, &'static str);

impl Draw {
    fn below(&mut self, bound: i64) -> i64 {
        self.0.random_range(0..bound)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(i64::try_from(of.len()).unwrap())).unwrap()]
    }

    fn is(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    fn conversation_id(&mut self) -> &'static str {
        self.one(&[self.1, self.1, "c2"])
    }

    fn message(&mut self, conversation: &str, seq: i64) -> Value {
        let state = if self.is(20) { seq + 20 } else { seq };
        json!({
            "conversationId": conversation, "messageId": format!("m{seq}"), "seq": seq.to_string(), "revision": seq.to_string(),
            "senderId": self.one(&["alice", "bob", "bob"]), "clientMessageId": format!("o{seq}"), "text": format!("text {seq}"),
            "sentAt": format!("2026-01-01T00:00:{:02}Z", seq % 60), "stateRevision": state.to_string(),
        })
    }

    /// A user as a member of the group, whose id is theirs.
    fn group_member(&mut self, user: &str) -> Value {
        let role = self.one(&["MEMBER", "MEMBER", "ADMIN", "OWNER"]);
        json!({"userId": user, "readSeq": self.below(8).to_string(), "role": format!("GROUP_ROLE_{role}")})
    }

    fn group_change(&mut self, revision: i64) -> Value {
        let action = self.one(&[
            "RENAMED",
            "MEMBERS_ADDED",
            "MEMBER_REMOVED",
            "MEMBER_LEFT",
            "ROLE_CHANGED",
        ]);
        json!({
            "revision": revision.to_string(), "afterSeq": (revision - 1).to_string(), "actorId": self.one(&["bob", "carol"]),
            "action": format!("GROUP_ACTION_{action}"), "userIds": [self.one(&["carol", "dave"])],
        })
    }

    /// Puts into what tells of a conversation what it tells of a group: some members or all, and the group as of a revision.
    fn tell_of_group(&mut self, about: &mut Value) {
        let mut members = vec![self.group_member("alice")];
        for user in ["bob", "carol", "dave"] {
            if self.is(60) {
                members.push(self.group_member(user));
            }
        }
        let unnamed = usize::from(self.is(25));
        let state_revision = self.below(14);
        about["group"] = group(members.len() + unnamed, state_revision);
        about["members"] = members.into();
    }

    fn members(&mut self) -> Value {
        if self.is(10) {
            return json!([]);
        }
        json!([
            {"userId": "alice", "readSeq": self.below(8).to_string(), "joinedRevision": "0"},
            {"userId": "bob", "readSeq": self.below(8).to_string(), "joinedRevision": "0",
                "deliveredSeq": self.below(9).to_string()},
        ])
    }

    fn conversation(&mut self, id: &str) -> Value {
        let mut conversation = json!({
            "conversationId": id, "kind": "CONVERSATION_KIND_DIRECT", "members": self.members(),
            "revision": self.below(12).to_string(), "countedSeq": self.below(10).to_string(),
            "unreadCount": self.below(6).to_string(), "createdAt": "2026-01-01T00:00:00Z",
            "lastActivityAt": format!("2026-01-01T00:00:{:02}Z", self.below(60)),
        });
        if self.is(70) {
            let revision = self.below(12);
            self.tell_of_settings(&mut conversation, revision);
        }
        if id == "c3" {
            conversation["kind"] = "CONVERSATION_KIND_GROUP".into();
            self.tell_of_group(&mut conversation);
        }
        conversation
    }

    /// Puts into what tells of a conversation what it is to alice alone, as of a revision of her feed.
    fn tell_of_settings(&mut self, about: &mut Value, revision: i64) {
        about["settings"] = json!({"archived": self.is(40), "pinned": self.is(40), "revision": revision.to_string()});
        if self.is(40) {
            about["settings"]["mutedUntil"] = format!("2026-01-02T00:00:{:02}Z", self.below(60)).into();
        }
        if self.is(30) {
            about["settings"]["visibleFromSeq"] = self.below(6).to_string().into();
        }
        if self.is(30) {
            about["settings"]["hiddenThroughSeq"] = self.below(8).to_string().into();
        }
        about["markedUnread"] = self.is(40).into();
    }

    fn friend(&mut self) -> Value {
        let state = self.one(&["UNSPECIFIED", "REQUEST_SENT", "REQUEST_RECEIVED", "ACCEPTED"]);
        json!({"userId": self.one(&["bob", "carol"]), "state": format!("FRIEND_STATE_{state}")})
    }

    fn event(&mut self) -> Value {
        let id = self.conversation_id();
        let revision = 1 + self.below(14);
        if id == "c3" && self.is(60) {
            let user = self.one(&["bob", "carol", "dave"]);
            let members: Vec<_> = (0..self.below(2)).map(|_| self.group_member(user)).collect();
            let state_revision = revision + self.below(10) / 8;
            return json!({
                "conversationId": id, "revision": revision.to_string(), "previousRevision": (revision - 1).to_string(),
                "groupChanged": {
                    "change": self.group_change(revision), "group": group(3, state_revision), "members": members,
                },
            });
        }
        match self.below(16) {
            0..=5 => json!({
                "conversationId": id, "revision": revision.to_string(),
                "previousRevision": if self.is(80) { revision - 1 } else { (revision - 2).max(0) }.to_string(),
                "messageSent": self.message(id, revision),
            }),
            6 => {
                let mut moved = json!({"userId": self.one(&["alice", "bob"]), "readSeq": self.below(10).to_string()});
                if moved["userId"] == "alice" && self.is(80) {
                    moved["unreadCount"] = self.below(5).to_string().into();
                    moved["countedSeq"] = self.below(12).to_string().into();
                }
                json!({"conversationId": id, "readPositionMoved": moved})
            }
            7 => json!({"conversationId": id, "revision": revision.to_string(), "poke": {}}),
            8 => json!({"feedRevision": revision.to_string(), "poke": {}}),
            9 => json!({"feedRevision": revision.to_string(), "friendChanged": {"friend": self.friend()}}),
            10 => {
                json!({"feedRevision": revision.to_string(), "conversationOpened": {"conversation": self.conversation(id)}})
            }
            11 => json!({"conversationId": id, "feedRevision": revision.to_string(), "membershipEnded": {}}),
            14 => json!({"conversationId": id, "deliveredPositionMoved":
                {"userId": self.one(&["alice", "bob"]), "deliveredSeq": self.below(12).to_string()}}),
            12 | 13 => {
                let mut changed = json!({});
                self.tell_of_settings(&mut changed, revision);
                json!({"conversationId": id, "feedRevision": revision.to_string(), "conversationSettingsChanged": changed})
            }
            _ => json!({"pong": {}}),
        }
    }

    fn page(&mut self, id: &str) -> Value {
        let begin = self.below(6);
        let length = self.below(6);
        let messages: Vec<_> = (begin + 1..=begin + length).map(|seq| self.message(id, seq)).collect();
        let mut page = json!({"messages": messages, "hasMoreBefore": self.is(40)});
        if id == "c3" {
            page["groupChanges"] = json!([self.group_change(begin + length + 1)]);
        }
        page
    }

    fn answer(&mut self) -> Value {
        let mut conversations = Vec::new();
        for id in ["c1", "c2", "c3"] {
            if self.is(60) {
                let (begin, length) = (self.below(8), self.below(5));
                let changes: Vec<_> = (begin + 1..=begin + length)
                    .map(|revision| {
                        if self.is(20) {
                            json!({"revision": revision.to_string(), "void": {}})
                        } else if id == "c3" && self.is(40) {
                            json!({"revision": revision.to_string(), "groupChanged": self.group_change(revision)})
                        } else {
                            json!({"revision": revision.to_string(), "messageSent": self.message(id, revision)})
                        }
                    })
                    .collect();
                let mut sync = json!({
                    "cursor": {"conversationId": id, "joinedRevision": (self.below(20) / 19).to_string(),
                        "revision": (begin + length).to_string(), "epoch": (1 + self.below(20) / 19).to_string()},
                    "reset": self.is(25), "changes": changes, "incomplete": self.is(20),
                    "revision": (begin + length + self.below(3)).to_string(), "cursorSeq": (begin + length).to_string(),
                    "countedSeq": self.below(12).to_string(), "unreadCount": self.below(6).to_string(), "members": self.members(),
                });
                if id == "c3" {
                    self.tell_of_group(&mut sync);
                }
                if self.is(15) {
                    sync["retryAfter"] = "0.5s".into();
                }
                conversations.push(sync);
            }
        }
        let mut answer = json!({"conversations": conversations});
        if self.is(90) {
            let (begin, length) = (self.below(8), self.below(4));
            let changes: Vec<_> = (begin + 1..=begin + length)
                .map(|revision| {
                    let mut change = json!({"revision": revision.to_string()});
                    if self.is(50) {
                        change["friend"] = self.friend();
                    } else {
                        let id = self.conversation_id();
                        let state = if self.is(80) { "ACTIVE" } else { "ENDED" };
                        change["membership"] = json!({
                            "state": format!("MEMBERSHIP_STATE_{state}"), "conversation": self.conversation(id),
                        });
                    }
                    change
                })
                .collect();
            answer["feed"] = json!({
                "cursor": {"epoch": "1", "revision": (begin + length).to_string()}, "reset": self.is(25), "changes": changes,
                "incomplete": self.is(20), "revision": (begin + length + self.below(2)).to_string(),
            });
        }
        if self.is(8) {
            answer["lostConversationIds"] = json!([self.conversation_id()]);
        }
        answer
    }

    fn step(&mut self) -> Value {
        let id = self.conversation_id();
        match self.below(20) {
            0..=6 => json!({"do": "hear", "event": self.event()}),
            7 | 8 => json!({"do": "open", "conversation": id}),
            9 if self.is(50) => json!({"do": "close", "conversation": id}),
            9 | 10 => json!({"do": "mark", "conversation": id, "seq": self.below(14)}),
            11 => json!({"do": "marked", "conversation": id, "answer": {"readSeq": self.below(10).to_string(),
                "unreadCount": self.below(4).to_string(), "countedSeq": self.below(12).to_string()}}),
            12 => json!({"do": "sync"}),
            13 => json!({"do": "ask"}),
            14 | 15 => json!({"do": "answer", "answer": self.answer()}),
            16 => json!({"do": "load"}),
            17 if self.is(90) => json!({"do": "page", "conversation": id, "page": self.page(id)}),
            17 => json!({"do": "page", "conversation": id}),
            18 => json!({"do": "older", "conversation": id, "page": self.page(id)}),
            _ => {
                let seq = 1 + self.below(14);
                json!({"do": "sent", "message": self.message(id, seq)})
            }
        }
    }
}

/// A group as of a revision.
fn group(members: usize, state_revision: i64) -> Value {
    json!({"name": format!("name {state_revision}"), "memberCount": members, "stateRevision": state_revision.to_string()})
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn drawn(seed: u64) -> Value {
    // A direct conversation, or a group.
    let main = if seed.is_multiple_of(2) { "c1" } else { "c3" };
    let mut draw = Draw(StdRng::seed_from_u64(seed), main);
    let mut steps = vec![
        json!({"do": "open", "conversation": main}),
        json!({"do": "sync"}),
        json!({"do": "answer", "answer": {"feed": {"cursor": {"epoch": "1", "revision": "2"}, "reset": true, "revision": "2", "changes": [
            {"revision": "1", "friend": {"userId": "bob", "state": "FRIEND_STATE_ACCEPTED"}},
            {"revision": "2", "membership": {"state": "MEMBERSHIP_STATE_ACTIVE", "conversation": draw.conversation(main)}},
        ]}}}),
    ];
    let page: Vec<_> = (2..=4).map(|seq| draw.message(main, seq)).collect();
    let start = json!({"cursor": {"conversationId": main, "revision": "4", "epoch": "1"}, "reset": true, "revision": "4", "cursorSeq": "4"});
    let feed = json!({"cursor": {"epoch": "1", "revision": "2"}, "revision": "2"});
    steps.extend([
        json!({"do": "sync"}),
        json!({"do": "answer", "answer": {"conversations": [start], "feed": feed}}),
        json!({"do": "load"}),
        json!({"do": "page", "conversation": main, "page": {"messages": page, "hasMoreBefore": draw.is(50)}}),
    ]);
    while steps.len() < DRAWN.1 {
        let step = draw.step();
        let id = draw.conversation_id();
        let follows = match text(&step, "do") {
            "sync" | "ask" => Some(json!({"do": "answer", "answer": draw.answer()})),
            "load" => Some(json!({"do": "page", "conversation": id, "page": draw.page(id)})),
            _ => None,
        };
        steps.push(step);
        // Mostly at once; an answer that comes late is drawn as a step of its own.
        steps.extend(follows.filter(|_| draw.is(70)));
    }
    let steps: Vec<_> = steps
        .into_iter()
        .map(|step| json!({"step": step, "then": ""}))
        .collect();
    json!({"user": "alice", "steps": steps})
}

/// One step a line, so that a diff shows which.
fn written(scenario: &Value) -> String {
    let steps: Vec<_> = scenario["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| format!("    {step}"))
        .collect();
    format!(
        "{{\n  \"user\": {},\n  \"steps\": [\n{}\n  ]\n}}\n",
        scenario["user"],
        steps.join(",\n")
    )
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the test decides")]
fn the_scenarios_end_as_they_say() {
    let is_to_write = std::env::var_os(WRITE).is_some();
    if is_to_write {
        for seed in 0..DRAWN.0 {
            std::fs::write(folder().join(format!("random-{seed:02}.json")), written(&drawn(seed))).unwrap();
        }
    }
    let mut steps_done = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let mut scenario: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut run = Run::new(text(&scenario, "user"));
        for (number, line) in scenario["steps"].as_array_mut().unwrap().iter_mut().enumerate() {
            let then = run.step(&line["step"]);
            if is_to_write {
                line["then"] = then.into();
            } else {
                assert_eq!(
                    line["then"].as_str().unwrap(),
                    then,
                    "step {number} of {}",
                    path.display()
                );
            }
            steps_done += 1;
        }
        if is_to_write {
            std::fs::write(&path, written(&scenario)).unwrap();
        }
    }
    assert!(
        steps_done > 600,
        "there are only {steps_done} steps in {}",
        folder().display()
    );
}
