-- People: how they show themselves, who is whose friend, what each of them is to be told, and how much each may ask.
--
-- Functions are the only way to change anything: `migrate` lets the functions' role call them and read tables, no more. Those
-- that change something and are called from outside run with their owner's rights (SECURITY DEFINER) on a fixed search path;
-- the others run with their caller's, so that Postgres can inline them.
-- Lock order everywhere: friendship (the row of the lower user), conversation, members in user id order, feeds in user id
-- order, budgets. A transaction touches one friendship and its conversation at most.

-- Which life of these databases it is: part of every cursor. Who restores a backup raises it (docs/deploy.md), so that no
-- client goes on from what was undone.
CREATE TABLE deployment (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint  NOT NULL
);
INSERT INTO deployment (epoch) VALUES (floor(extract(epoch FROM clock_timestamp()) * 1000));

-- Ids compare by bytes everywhere, so that "the lower of two users" is the same to Postgres and to Rust.
CREATE TABLE users (
    user_id      text COLLATE "C" PRIMARY KEY,
    display_name text        NOT NULL,
    avatar_url   text        NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- A user's own feed: what concerns them alone. Each change takes the next revision under this row's lock and keeps it with
-- the row that changed, so commits come in the order of revisions and a reader who has one has all before it.
CREATE TABLE feeds (
    user_id            text COLLATE "C" PRIMARY KEY,
    revision           bigint NOT NULL DEFAULT 0,
    -- The greatest revision of what has left the feed. Who stands below it cannot go on.
    floor_revision     bigint NOT NULL DEFAULT 0,
    -- Friends and own open requests; open requests of others; conversations. Exact, since they change under the lock.
    friend_count       int    NOT NULL DEFAULT 0,
    request_count      int    NOT NULL DEFAULT 0,
    conversation_count int    NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- One side of how two users stand; both sides always exist, and are changed together. What ended stays.
CREATE TABLE friends (
    user_id       text COLLATE "C" NOT NULL,
    other_id      text COLLATE "C" NOT NULL,
    state         text             NOT NULL CHECK (state IN ('none', 'sent', 'received', 'accepted')),
    updated_at    timestamptz      NOT NULL,
    -- Null: not in the feed; it never was, or ended long ago.
    feed_revision bigint,
    -- What the user's requests to the other have used up of what is allowed (GCRA).
    asked_until   timestamptz,
    PRIMARY KEY (user_id, other_id),
    CHECK (user_id <> other_id)
);

CREATE INDEX friends_by_feed ON friends (user_id, feed_revision);
CREATE INDEX friends_ended ON friends (user_id, updated_at) WHERE state = 'none' AND feed_revision IS NOT NULL;

-- What each user's calls of a class have used up of what they may (GCRA): one time, up to which it is paid for. Not logged:
-- a crash forgives, and a transaction that wrote nothing else need not wait for the disk.
CREATE UNLOGGED TABLE budgets (
    user_id    text COLLATE "C" NOT NULL,
    class      text             NOT NULL,
    used_until timestamptz      NOT NULL,
    PRIMARY KEY (user_id, class)
) WITH (fillfactor = 50);

-- How long a user must wait before another call of this class, in microseconds; 0 when it is in their budget, of which
-- p_burst_us may be used up at once.
CREATE FUNCTION budget_wait(p_user text, p_class text, p_burst_us bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_used_until timestamptz;
BEGIN
    SELECT b.used_until INTO v_used_until FROM budgets b WHERE b.user_id = p_user AND b.class = p_class;
    RETURN greatest(coalesce(ceil(extract(epoch FROM v_used_until - clock_timestamp()) * 1000000)::bigint - p_burst_us, 0), 0);
END $$;

-- Takes a call, which costs p_call_us, out of a user's budget. Last in a transaction.
CREATE FUNCTION use_budget(p_user text, p_class text, p_call_us bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE budgets b SET used_until = greatest(b.used_until, clock_timestamp()) + p_call_us * interval '1 microsecond'
    WHERE b.user_id = p_user AND b.class = p_class;
    IF NOT FOUND THEN
        INSERT INTO budgets AS b (user_id, class, used_until)
        VALUES (p_user, p_class, clock_timestamp() + p_call_us * interval '1 microsecond')
        ON CONFLICT (user_id, class) DO UPDATE SET
            used_until = greatest(b.used_until, clock_timestamp()) + p_call_us * interval '1 microsecond';
    END IF;
END $$;

-- Takes a call out of a user's budget if it is in there. Answers how long to wait otherwise, in microseconds; else 0.
CREATE FUNCTION charge(p_user text, p_class text, p_call_us bigint, p_burst_us bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_wait bigint := budget_wait(p_user, p_class, p_burst_us);
BEGIN
    IF v_wait = 0 THEN
        PERFORM use_budget(p_user, p_class, p_call_us);
    END IF;
    RETURN v_wait;
END $$;

-- Locks the feeds of these users, in the order of their ids, and makes those that are not there.
CREATE FUNCTION lock_feeds(p_users text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feeds (user_id) SELECT u FROM unnest(p_users) u ORDER BY u COLLATE "C" ON CONFLICT DO NOTHING;
    PERFORM FROM feeds f WHERE f.user_id = ANY (p_users) ORDER BY f.user_id FOR NO KEY UPDATE;
END $$;

-- Sets one side of how two users stand, at the next place of that user's feed, which is locked.
CREATE FUNCTION set_friend_side(p_user text, p_other text, p_state text, p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    c_kept_for CONSTANT interval := interval '30 days';
    c_gone_max CONSTANT int := 100;
    v_before   text := coalesce((SELECT f.state FROM friends f WHERE f.user_id = p_user AND f.other_id = p_other), 'none');
    v_revision bigint;
    v_gone     text[];
    v_floor    bigint;
BEGIN
    UPDATE feeds f SET
        revision = f.revision + 1,
        friend_count = f.friend_count + (p_state IN ('sent', 'accepted'))::int - (v_before IN ('sent', 'accepted'))::int,
        request_count = f.request_count + (p_state = 'received')::int - (v_before = 'received')::int
    WHERE f.user_id = p_user
    RETURNING f.revision INTO v_revision;
    INSERT INTO friends (user_id, other_id, state, updated_at, feed_revision)
    VALUES (p_user, p_other, p_state, p_now, v_revision)
    ON CONFLICT (user_id, other_id) DO UPDATE SET
        state = EXCLUDED.state, updated_at = EXCLUDED.updated_at, feed_revision = EXCLUDED.feed_revision;
    -- What ended long ago leaves the feed. Locked rows are passed over: their friendship may be locked by someone who waits
    -- for this feed.
    SELECT array_agg(g.other_id), max(g.feed_revision) INTO v_gone, v_floor FROM (
        SELECT f.other_id, f.feed_revision FROM friends f
        WHERE f.user_id = p_user AND f.state = 'none' AND f.feed_revision IS NOT NULL AND f.updated_at < p_now - c_kept_for
        ORDER BY f.updated_at LIMIT c_gone_max
        FOR NO KEY UPDATE SKIP LOCKED
    ) g;
    IF v_gone IS NOT NULL THEN
        UPDATE friends f SET feed_revision = NULL WHERE f.user_id = p_user AND f.other_id = ANY (v_gone);
        UPDATE feeds f SET floor_revision = greatest(f.floor_revision, v_floor) WHERE f.user_id = p_user;
    END IF;
    RETURN v_revision;
END $$;

-- How two users stand after a call about it, from the caller's side. `outcome` is 'ok', or says why nothing was done;
-- 'limited' and 'too_soon' come with how long to wait. The two revisions are null for users who never had anything to do
-- with each other, of which there is nothing to tell.
CREATE TYPE friendship AS (
    outcome text, state text, other_state text, updated_at timestamptz, feed_revision bigint, other_feed_revision bigint,
    wait_us bigint
);

-- How two users stand, from p_user's side.
CREATE FUNCTION friendship_of(p_user text, p_other text, p_outcome text) RETURNS friendship
LANGUAGE sql STABLE AS $$
    SELECT p_outcome, coalesce(max(f.state) FILTER (WHERE f.user_id = p_user), 'none'),
           coalesce(max(f.state) FILTER (WHERE f.user_id = p_other), 'none'),
           coalesce(max(f.updated_at), clock_timestamp()), max(f.feed_revision) FILTER (WHERE f.user_id = p_user),
           max(f.feed_revision) FILTER (WHERE f.user_id = p_other), NULL::bigint
    FROM friends f
    WHERE (f.user_id, f.other_id) IN ((p_user, p_other), (p_other, p_user))
$$;

-- A refusal that says how long to wait.
CREATE FUNCTION friendship_refused(p_outcome text, p_wait_us bigint) RETURNS friendship
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_outcome, NULL::text, NULL::text, NULL::timestamptz, NULL::bigint, NULL::bigint, p_wait_us
$$;

-- Sets both sides of how two users stand. Their friendship is locked; their feeds are, or are locked here.
CREATE FUNCTION set_friendship(p_user text, p_other text, p_state text, p_other_state text) RETURNS friendship
LANGUAGE plpgsql AS $$
DECLARE
    -- Read under the locks, so that of two changes the later one has the later time.
    v_now timestamptz;
BEGIN
    PERFORM lock_feeds(ARRAY[p_user, p_other]);
    v_now := clock_timestamp();
    PERFORM set_friend_side(p_user, p_other, p_state, v_now), set_friend_side(p_other, p_user, p_other_state, v_now);
    RETURN friendship_of(p_user, p_other, 'ok');
END $$;

-- Asks, or meets the other's request. Outcomes: 'ok', 'limited', 'friend_limit', 'requests_full', 'too_soon'.
CREATE FUNCTION request_friend(
    p_actor text, p_other text, p_friends_max int, p_requests_max int, p_again_us bigint, p_again_burst_us bigint,
    p_call_us bigint, p_burst_us bigint
) RETURNS friendship
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_wait   bigint := budget_wait(p_actor, 'invite', p_burst_us);
    v_now    timestamptz := clock_timestamp();
    v_state  text;
    v_asked  timestamptz;
    v_answer friendship;
BEGIN
    IF v_wait > 0 THEN
        RETURN friendship_refused('limited', v_wait);
    END IF;
    -- Both rows are made in one order, and the lower one is the friendship's lock.
    INSERT INTO friends (user_id, other_id, state, updated_at)
    SELECT u, CASE WHEN u = p_actor THEN p_other ELSE p_actor END, 'none', v_now
    FROM unnest(ARRAY[p_actor, p_other]) u ORDER BY u COLLATE "C"
    ON CONFLICT DO NOTHING;
    PERFORM FROM friends f
    WHERE f.user_id = least(p_actor COLLATE "C", p_other COLLATE "C")
      AND f.other_id = greatest(p_actor COLLATE "C", p_other COLLATE "C")
    FOR UPDATE;
    SELECT f.state, f.asked_until INTO v_state, v_asked FROM friends f WHERE f.user_id = p_actor AND f.other_id = p_other;
    IF v_state IN ('sent', 'accepted') THEN
        v_answer := friendship_of(p_actor, p_other, 'ok');
    ELSE
        PERFORM lock_feeds(ARRAY[p_actor, p_other]);
        v_now := clock_timestamp();
        v_asked := greatest(v_asked, v_now);
        v_wait := ceil(extract(epoch FROM v_asked - v_now) * 1000000)::bigint - p_again_burst_us;
        IF (SELECT f.friend_count FROM feeds f WHERE f.user_id = p_actor) >= p_friends_max THEN
            v_answer := friendship_of(p_actor, p_other, 'friend_limit');
        ELSIF v_state = 'received' THEN
            v_answer := set_friendship(p_actor, p_other, 'accepted', 'accepted');
        ELSIF v_wait > 0 THEN
            v_answer := friendship_refused('too_soon', v_wait);
        ELSIF (SELECT f.request_count FROM feeds f WHERE f.user_id = p_other) >= p_requests_max THEN
            v_answer := friendship_of(p_actor, p_other, 'requests_full');
        ELSE
            v_answer := set_friendship(p_actor, p_other, 'sent', 'received');
            UPDATE friends f SET asked_until = v_asked + p_again_us * interval '1 microsecond'
            WHERE f.user_id = p_actor AND f.other_id = p_other;
        END IF;
    END IF;
    PERFORM use_budget(p_actor, 'invite', p_call_us);
    RETURN v_answer;
END $$;

-- Accepts or declines the other's request. Outcomes: 'ok', 'limited', 'friend_limit', 'missing' (nothing to accept),
-- 'friends' (a decline that comes too late).
CREATE FUNCTION respond_to_friend_request(
    p_actor text, p_other text, p_accept boolean, p_friends_max int, p_call_us bigint, p_burst_us bigint
) RETURNS friendship
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_wait   bigint := budget_wait(p_actor, 'invite', p_burst_us);
    v_state  text;
    v_answer friendship;
BEGIN
    IF v_wait > 0 THEN
        RETURN friendship_refused('limited', v_wait);
    END IF;
    PERFORM FROM friends f
    WHERE f.user_id = least(p_actor COLLATE "C", p_other COLLATE "C")
      AND f.other_id = greatest(p_actor COLLATE "C", p_other COLLATE "C")
    FOR UPDATE;
    SELECT f.state INTO v_state FROM friends f WHERE f.user_id = p_actor AND f.other_id = p_other;
    IF v_state = 'received' AND p_accept THEN
        PERFORM lock_feeds(ARRAY[p_actor, p_other]);
        IF (SELECT f.friend_count FROM feeds f WHERE f.user_id = p_actor) >= p_friends_max THEN
            v_answer := friendship_of(p_actor, p_other, 'friend_limit');
        ELSE
            v_answer := set_friendship(p_actor, p_other, 'accepted', 'accepted');
        END IF;
    ELSIF v_state = 'received' THEN
        v_answer := set_friendship(p_actor, p_other, 'none', 'none');
    ELSIF v_state = 'accepted' THEN
        v_answer := friendship_of(p_actor, p_other, CASE WHEN p_accept THEN 'ok' ELSE 'friends' END);
    ELSE
        v_answer := friendship_of(p_actor, p_other, CASE WHEN p_accept THEN 'missing' ELSE 'ok' END);
    END IF;
    PERFORM use_budget(p_actor, 'invite', p_call_us);
    RETURN v_answer;
END $$;

-- Creates or changes a profile; null leaves a field as it is. Outcomes: 'ok'; 'nameless' for what would be a first profile
-- without a display name; 'limited', with how long to wait.
CREATE FUNCTION upsert_profile(p_actor text, p_display_name text, p_avatar_url text, p_call_us bigint, p_burst_us bigint)
RETURNS TABLE (outcome text, display_name text, avatar_url text, updated_at timestamptz, wait_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_wait bigint := budget_wait(p_actor, 'write', p_burst_us);
BEGIN
    IF v_wait > 0 THEN
        RETURN QUERY SELECT 'limited', NULL::text, NULL::text, NULL::timestamptz, v_wait;
        RETURN;
    END IF;
    RETURN QUERY
    INSERT INTO users AS u (user_id, display_name, avatar_url, updated_at)
    SELECT p_actor, coalesce(p_display_name, ''), coalesce(p_avatar_url, ''), clock_timestamp()
    WHERE p_display_name IS NOT NULL OR EXISTS (SELECT FROM users WHERE user_id = p_actor)
    ON CONFLICT (user_id) DO UPDATE SET
        display_name = coalesce(p_display_name, u.display_name),
        avatar_url = coalesce(p_avatar_url, u.avatar_url),
        updated_at = CASE
            WHEN (u.display_name, u.avatar_url)
                 = (coalesce(p_display_name, u.display_name), coalesce(p_avatar_url, u.avatar_url))
            THEN u.updated_at ELSE EXCLUDED.updated_at END
    RETURNING 'ok', u.display_name, u.avatar_url, u.updated_at, NULL::bigint;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'nameless', NULL::text, NULL::text, NULL::timestamptz, NULL::bigint;
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
END $$;
