//! What a correct service guarantees.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Observation, Record, Sending, Shown, Summary, Told, Violation};

/// A rule: its name, and what it says about a record.
type Rule = (&'static str, fn(&Run<'_>) -> Result<(), String>);

/// In the order in which they are checked. The first ones say what a list of messages is; the later ones rely on them.
const RULES: &[Rule] = &[
    ("messages are ordered by seq, and each seq is used once", seqs_increase),
    (
        "messages are ordered by revision, and each revision is used once",
        revisions_increase,
    ),
    ("no message is doubled", nothing_is_doubled),
    ("no revision is missing", no_revision_is_missing),
    ("what was shown never changes its place", shown_stays),
    ("all clients show the same", all_show_the_same),
    ("a repeated send is answered as the first one", repeats_agree),
    ("a place is given once", places_are_given_once),
    ("nothing acknowledged is lost", acknowledged_is_shown),
    ("what was refused is not there", refused_is_not_shown),
    ("nothing is shown that nobody sent", shown_was_sent),
    ("what was acknowledged first comes first", real_time_order),
];

/// A record, with what several rules look up.
struct Run<'a> {
    record: &'a Record,
    /// The attempts of each message, by sender and client message id.
    messages: BTreeMap<(&'a str, &'a str), Vec<&'a Sending>>,
    /// What each client showed in the end.
    finals: BTreeMap<&'a str, &'a Observation>,
}

pub(super) fn judge(record: &Record) -> Result<Summary, Violation> {
    let mut messages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for attempt in &record.attempts {
        let key = (attempt.sender_id.as_str(), attempt.client_message_id.as_str());
        messages.entry(key).or_default().push(attempt);
    }
    let finals = record.observations.iter();
    let run = Run {
        record,
        messages,
        finals: finals
            .filter_map(|(client, observations)| Some((client.as_str(), observations.last()?)))
            .collect(),
    };
    for (rule, holds) in RULES {
        holds(&run).map_err(|detail| Violation { rule, detail })?;
    }
    Ok(run.summary())
}

impl<'a> Run<'a> {
    /// Every observation of every client.
    fn observations(&self) -> impl Iterator<Item = (&'a str, &'a Observation)> {
        let clients = self.record.observations.iter();
        clients.flat_map(|(client, observations)| observations.iter().map(move |it| (client.as_str(), it)))
    }

    /// The acknowledgements of a message's attempts.
    fn acknowledgements(&self) -> impl Iterator<Item = (&'a Sending, u64, &'a Shown)> {
        self.record.attempts.iter().filter_map(|attempt| match &attempt.ended {
            Some((ended, Told::Acknowledged(shown))) => Some((attempt, *ended, shown)),
            _ => None,
        })
    }

    fn summary(&self) -> Summary {
        let count = |fits: fn(&[&Sending]) -> bool| self.messages.values().filter(|attempts| fits(attempts)).count();
        Summary {
            messages: self
                .finals
                .values()
                .map(|it| it.messages.len())
                .max()
                .unwrap_or_default(),
            voids: self.finals.values().map(|it| it.voids.len()).max().unwrap_or_default(),
            acknowledged: count(is_acknowledged),
            refused: count(is_refused),
            unknown: count(|attempts| !is_acknowledged(attempts) && !is_refused(attempts)),
            clients: self.finals.len(),
            observations: self.observations().count(),
        }
    }
}

fn is_acknowledged(attempts: &[&Sending]) -> bool {
    attempts
        .iter()
        .any(|attempt| matches!(attempt.ended, Some((_, Told::Acknowledged(_)))))
}

fn is_refused(attempts: &[&Sending]) -> bool {
    attempts
        .iter()
        .all(|attempt| matches!(attempt.ended, Some((_, Told::Refused))))
}

fn seqs_increase(run: &Run<'_>) -> Result<(), String> {
    increase(run, |shown| shown.seq)
}

fn revisions_increase(run: &Run<'_>) -> Result<(), String> {
    increase(run, |shown| shown.revision)
}

fn increase(run: &Run<'_>, place: fn(&Shown) -> i64) -> Result<(), String> {
    for (client, observation) in run.observations() {
        for pair in observation.messages.windows(2) {
            if let [first, second] = pair
                && place(first) >= place(second)
            {
                return Err(format!("{client} showed {first} before {second}"));
            }
        }
        if let Some(first) = observation.messages.first().filter(|first| place(first) < 1) {
            return Err(format!("{client} showed {first}; places start at 1"));
        }
    }
    Ok(())
}

fn nothing_is_doubled(run: &Run<'_>) -> Result<(), String> {
    for (client, observation) in run.observations() {
        let mut ids: HashMap<&str, &Shown> = HashMap::new();
        let mut sends: HashMap<(&str, &str), &Shown> = HashMap::new();
        for shown in &observation.messages {
            let doubled = ids.insert(&shown.message_id, shown);
            let doubled = doubled.or(sends.insert((&shown.sender_id, &shown.client_message_id), shown));
            if let Some(first) = doubled {
                return Err(format!("{client} showed {first} and {shown}"));
            }
        }
    }
    Ok(())
}

fn no_revision_is_missing(run: &Run<'_>) -> Result<(), String> {
    for (client, observation) in run.observations() {
        let Observation { known_from, cursor, .. } = *observation;
        let voids: HashSet<i64> = observation.voids.iter().copied().collect();
        let messages: HashMap<i64, &Shown> = observation
            .messages
            .iter()
            .map(|shown| (shown.revision, shown))
            .collect();
        for revision in known_from + 1..=cursor {
            match (messages.get(&revision), voids.contains(&revision)) {
                (None, false) => {
                    return Err(format!(
                        "{client} was at revision {cursor} and had nothing at revision {revision}"
                    ));
                }
                (Some(shown), true) => {
                    return Err(format!(
                        "{client} had {shown} where it had also seen that there is nothing"
                    ));
                }
                _ => {}
            }
        }
    }
    // Above a gap a client shows what it hears of; in the end there are no gaps.
    for (client, Observation { messages, cursor, .. }) in &run.finals {
        if let Some(shown) = messages.iter().find(|shown| shown.revision > *cursor) {
            return Err(format!("{client} was at revision {cursor} and showed {shown}"));
        }
    }
    Ok(())
}

fn shown_stays(run: &Run<'_>) -> Result<(), String> {
    for (client, observations) in &run.record.observations {
        for pair in observations.windows(2) {
            if let [earlier, later] = pair {
                stays(earlier, later).map_err(|problem| format!("{client} {problem}"))?;
            }
        }
    }
    Ok(())
}

/// Compares two moments of one client. History may have been loaded further back, or only from a later start on.
fn stays(earlier: &Observation, later: &Observation) -> Result<(), String> {
    if later.cursor < earlier.cursor {
        return Err(format!(
            "went back from revision {} to {}",
            earlier.cursor, later.cursor
        ));
    }
    let starts_at = |it: &Observation| {
        if it.has_older {
            it.messages.first().map_or(i64::MAX, |it| it.seq)
        } else {
            0
        }
    };
    let start = starts_at(earlier).max(starts_at(later));
    let in_common = |it: &Observation, end: i64| -> Vec<Shown> {
        let messages = it
            .messages
            .iter()
            .filter(|shown| shown.seq >= start && shown.revision <= end);
        messages.cloned().collect()
    };
    let (before, after) = (in_common(earlier, earlier.cursor), in_common(later, earlier.cursor));
    if let Some((before, after)) = before
        .iter()
        .zip(&after)
        .find(|(before, after)| !is_same(before, after))
    {
        return Err(format!("showed {before}, and later {after} in its place"));
    }
    if let Some((before, after)) = before
        .iter()
        .zip(&after)
        .find(|(before, after)| before.state_revision > after.state_revision)
    {
        let (from, to) = (before.state_revision, after.state_revision);
        return Err(format!(
            "showed {after} as of revision {to} after having shown it as of {from}"
        ));
    }
    match (before.get(after.len()), after.get(before.len())) {
        (Some(gone), _) => return Err(format!("showed {gone}, and later no more")),
        (_, Some(inserted)) => {
            return Err(format!(
                "showed {inserted} only after it had passed revision {}",
                earlier.cursor
            ));
        }
        _ => {}
    }
    ahead_stays(earlier, later, start)
}

/// What is shown above a gap stays as well; only that others may still come between.
fn ahead_stays(earlier: &Observation, later: &Observation, start: i64) -> Result<(), String> {
    let by_seq: HashMap<i64, &Shown> = later.messages.iter().map(|it| (it.seq, it)).collect();
    let ahead = earlier.messages.iter();
    for before in ahead.filter(|it| it.seq >= start && it.revision > earlier.cursor) {
        match by_seq.get(&before.seq) {
            None => return Err(format!("showed {before}, and later no more")),
            Some(after) if !is_same(before, after) => {
                return Err(format!("showed {before}, and later {after} in its place"));
            }
            Some(after) if before.state_revision > after.state_revision => {
                let (from, to) = (before.state_revision, after.state_revision);
                return Err(format!(
                    "showed {after} as of revision {to} after having shown it as of {from}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether two sights are of one message, in whatever state.
fn is_same(one: &Shown, other: &Shown) -> bool {
    let identity = |it: &Shown| {
        (
            it.message_id.clone(),
            it.seq,
            it.revision,
            it.sender_id.clone(),
            it.client_message_id.clone(),
        )
    };
    identity(one) == identity(other) && (one.state_revision != other.state_revision || one.text == other.text)
}

fn all_show_the_same(run: &Run<'_>) -> Result<(), String> {
    // Whoever shows most is compared with everyone else.
    let most = run
        .finals
        .iter()
        .max_by_key(|(_, observation)| (!observation.has_older, observation.messages.len()));
    let Some((reference, all)) = most else { return Ok(()) };
    for (client, observation) in &run.finals {
        if observation.cursor != all.cursor {
            let (cursor, all) = (observation.cursor, all.cursor);
            return Err(format!("{client} ended at revision {cursor}, {reference} at {all}"));
        }
        let shown = &observation.messages;
        let skipped = if observation.has_older {
            all.messages.len().saturating_sub(shown.len())
        } else {
            0
        };
        let expected = all.messages.get(skipped..).unwrap_or_default();
        for (shown, expected) in shown.iter().zip(expected) {
            if shown != expected {
                return Err(format!("{client} shows {shown} where {reference} shows {expected}"));
            }
        }
        if let Some(missing) = expected.get(shown.len()) {
            return Err(format!("{client} does not show {missing}, {reference} does"));
        }
        if let Some(extra) = shown.get(expected.len()) {
            return Err(format!("{client} shows {extra}, {reference} does not"));
        }
        let known_from = observation.known_from.max(all.known_from);
        let voids = |it: &Observation| {
            it.voids
                .iter()
                .copied()
                .filter(|void| *void > known_from)
                .collect::<Vec<_>>()
        };
        if voids(observation) != voids(all) {
            let (voids, all) = (voids(observation), voids(all));
            return Err(format!(
                "{client} saw nothing at revisions {voids:?}, {reference} at {all:?}"
            ));
        }
    }
    Ok(())
}

fn repeats_agree(run: &Run<'_>) -> Result<(), String> {
    let mut firsts: HashMap<(&str, &str), &Shown> = HashMap::new();
    for (attempt, _, shown) in run.acknowledgements() {
        let Sending {
            sender_id,
            client_message_id,
            text,
            ..
        } = attempt;
        let is_theirs = (&shown.sender_id, &shown.client_message_id) == (sender_id, client_message_id);
        // A repeat may be answered after the message was changed.
        if !is_theirs || (shown.state_revision == shown.revision && shown.text != *text) {
            return Err(format!(
                "{sender_id} sent {client_message_id} {text:?} and was told of {shown}"
            ));
        }
        let first = firsts.entry((sender_id, client_message_id)).or_insert(shown);
        if !is_same(first, shown) {
            return Err(format!(
                "{sender_id} was told of {first}, and for the same message of {shown}"
            ));
        }
    }
    Ok(())
}

fn places_are_given_once(run: &Run<'_>) -> Result<(), String> {
    let (mut seqs, mut revisions, mut ids) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (_, _, shown) in run.acknowledgements() {
        for holder in [
            *seqs.entry(shown.seq).or_insert(shown),
            *revisions.entry(shown.revision).or_insert(shown),
            *ids.entry(shown.message_id.as_str()).or_insert(shown),
        ] {
            if !is_same(holder, shown) {
                return Err(format!("both {holder} and {shown} were acknowledged"));
            }
        }
    }
    Ok(())
}

fn acknowledged_is_shown(run: &Run<'_>) -> Result<(), String> {
    for (client, observation) in &run.finals {
        let by_id: HashMap<&str, &Shown> = observation
            .messages
            .iter()
            .map(|it| (it.message_id.as_str(), it))
            .collect();
        let start = observation
            .messages
            .first()
            .filter(|_| observation.has_older)
            .map_or(0, |first| first.seq);
        for (_, _, told) in run.acknowledgements().filter(|(_, _, told)| told.seq >= start) {
            match by_id.get(told.message_id.as_str()) {
                None => return Err(format!("{told} was acknowledged, but {client} does not show it")),
                Some(shown) if !is_same(shown, told) => {
                    return Err(format!("{told} was acknowledged, but {client} shows {shown}"));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn refused_is_not_shown(run: &Run<'_>) -> Result<(), String> {
    for (client, observation) in run.observations() {
        for shown in &observation.messages {
            let attempts = run
                .messages
                .get(&(shown.sender_id.as_str(), shown.client_message_id.as_str()));
            if attempts.is_some_and(|attempts| is_refused(attempts)) {
                return Err(format!("{client} showed {shown}, which was refused"));
            }
        }
    }
    Ok(())
}

fn shown_was_sent(run: &Run<'_>) -> Result<(), String> {
    for (client, observation) in run.observations() {
        for shown in &observation.messages {
            let attempts = run
                .messages
                .get(&(shown.sender_id.as_str(), shown.client_message_id.as_str()));
            let texts: Vec<&str> = attempts
                .into_iter()
                .flatten()
                .filter(|attempt| !matches!(attempt.ended, Some((_, Told::Refused))))
                .map(|attempt| attempt.text.as_str())
                .collect();
            if texts.is_empty() {
                return Err(format!("{client} showed {shown}"));
            }
            if shown.state_revision == shown.revision && !texts.contains(&shown.text.as_str()) {
                return Err(format!("{client} showed {shown}, which was sent as {texts:?}"));
            }
        }
    }
    Ok(())
}

/// An attempt that began after another was acknowledged has the greater revision, whoever the senders are.
fn real_time_order(run: &Run<'_>) -> Result<(), String> {
    // When a message was first attempted and first acknowledged; a repeat may be answered at any time later.
    let mut spans: BTreeMap<(&str, &str), (u64, u64, &Shown)> = BTreeMap::new();
    for (attempt, ended, shown) in run.acknowledgements() {
        let key = (attempt.sender_id.as_str(), attempt.client_message_id.as_str());
        let began = run
            .messages
            .get(&key)
            .into_iter()
            .flatten()
            .map(|attempt| attempt.began)
            .min()
            .unwrap_or(attempt.began);
        let span = spans.entry(key).or_insert((began, ended, shown));
        span.1 = span.1.min(ended);
    }
    // One whose sender was never told began at some time all the same.
    for shown in run.finals.values().flat_map(|observation| &observation.messages) {
        let key = (shown.sender_id.as_str(), shown.client_message_id.as_str());
        if let Some(began) = run
            .messages
            .get(&key)
            .into_iter()
            .flatten()
            .map(|attempt| attempt.began)
            .min()
        {
            spans.entry(key).or_insert((began, u64::MAX, shown));
        }
    }
    let mut by_begin: Vec<_> = spans.values().collect();
    by_begin.sort_by_key(|(began, _, _)| *began);
    let mut by_end: Vec<_> = spans.values().collect();
    by_end.sort_by_key(|(_, ended, _)| *ended);
    let mut ended = by_end.into_iter().peekable();
    let mut greatest: Option<&Shown> = None;
    for (began, _, shown) in by_begin {
        while let Some((_, _, before)) = ended.next_if(|(_, ended, _)| ended < began) {
            greatest = greatest.filter(|it| it.revision > before.revision).or(Some(before));
        }
        if let Some(before) = greatest.filter(|before| before.revision > shown.revision) {
            return Err(format!("{before} was acknowledged before {shown} was sent"));
        }
    }
    Ok(())
}
