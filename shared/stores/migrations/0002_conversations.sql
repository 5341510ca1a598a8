-- Conversations, their members, what of them is not read, and the sequencer that gives every change its place.

-- fillfactor and the absence of an index on what a send changes keep those updates on their page (HOT).
CREATE TABLE conversations (
    conversation_id  uuid        PRIMARY KEY,
    kind             text        NOT NULL CHECK (kind = 'direct'),
    low_user_id      text COLLATE "C" NOT NULL,
    high_user_id     text COLLATE "C" NOT NULL,
    created_at       timestamptz NOT NULL,
    -- The newest revision and seq handed out.
    revision         bigint      NOT NULL DEFAULT 0,
    message_count    bigint      NOT NULL DEFAULT 0,
    -- The seal: every place up to this revision is taken in the timeline, and every seq up to this one either is a stored
    -- message's or is uncounted.
    closed_revision  bigint      NOT NULL DEFAULT 0,
    closed_seq       bigint      NOT NULL DEFAULT 0,
    -- The newest seq that is uncounted, 0 without any. Who has read past it need not look which are.
    uncounted_seq    bigint      NOT NULL DEFAULT 0,
    -- When the newest revision was handed out. Whole milliseconds, as MongoDB keeps them.
    allocated_at     timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL,
    UNIQUE (low_user_id, high_user_id),
    CHECK (low_user_id < high_user_id)
) WITH (fillfactor = 70);

-- The row of who sends is written with every send: it holds what a send needs and nothing else.
CREATE TABLE members (
    conversation_id  uuid   NOT NULL REFERENCES conversations,
    -- The conversation's revision when they joined, and the seq above which they see messages.
    joined_revision  bigint NOT NULL,
    visible_from_seq bigint NOT NULL,
    -- What they said they have read.
    read_seq         bigint NOT NULL DEFAULT 0,
    -- Nothing up to here is unread to them, as nothing was when they sent the message that has this seq. Shown to nobody.
    caught_up_seq    bigint NOT NULL DEFAULT 0,
    -- The newest seq of their own that `own_seqs` has, 0 without any.
    own_seq          bigint NOT NULL DEFAULT 0,
    -- Where the membership stands in their feed.
    feed_revision    bigint NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    -- Their newest operations and the places that those got, newest first: `operation` says how.
    recent           bytea  NOT NULL DEFAULT '',
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);

CREATE INDEX members_by_user ON members (user_id, conversation_id);
CREATE INDEX members_by_feed ON members (user_id, feed_revision);

-- Sets of seqs are kept as bits, 1,024 seqs a row: the seq's chunk is seq / 1024, its bit seq % 1024.

-- Seqs that were handed out and that no message has, nor ever will: their places were closed. They count nowhere.
CREATE TABLE uncounted (
    conversation_id uuid      NOT NULL REFERENCES conversations,
    chunk           bigint    NOT NULL,
    bits            bit(1024) NOT NULL,
    PRIMARY KEY (conversation_id, chunk)
);

-- Seqs of a member's own that were handed out while they had messages of others to read, which makes them the only ones
-- that have to be told from others'. `own_before`: how many the chunks before hold, so that those above any seq are counted
-- by two look-ups, however many there are.
CREATE TABLE own_seqs (
    conversation_id uuid      NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    chunk           bigint    NOT NULL,
    own_before      bigint    NOT NULL,
    bits            bit(1024) NOT NULL,
    PRIMARY KEY (conversation_id, user_id, chunk),
    FOREIGN KEY (conversation_id, user_id) REFERENCES members
) WITH (fillfactor = 70);

-- The bits of a chunk above this seq of the chunk.
CREATE FUNCTION bits_above(p_seq bigint) RETURNS bit(1024)
LANGUAGE sql IMMUTABLE AS $$
    SELECT (~ repeat('0', 1024)::bit(1024)) >> ((p_seq % 1024)::int + 1)
$$;

-- The bit of a seq in its chunk.
CREATE FUNCTION bit_of(p_seq bigint) RETURNS bit(1024)
LANGUAGE sql IMMUTABLE AS $$
    SELECT set_bit(repeat('0', 1024)::bit(1024), (p_seq % 1024)::int, 1)
$$;

-- How many messages of others a member has above p_base and up to p_through: all seqs less the union of their own and the
-- uncounted ones. More may have been handed out meanwhile, and is left out. p_also_uncounted: further seqs, of which the
-- caller knows that no message has them now.
CREATE FUNCTION count_unread(
    p_conversation uuid, p_user text, p_base bigint, p_through bigint, p_also_uncounted bigint[] DEFAULT '{}'
) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- Further down than a million seqs, what is uncounted is counted: nobody reads that far back, and it is never looked at.
    c_chunks_max CONSTANT int := 1024;
    v_chunk     bigint := p_base / 1024;
    v_end       bigint := p_through / 1024;
    v_own       bigint := 0;
    v_uncounted bigint;
    v_last      own_seqs%ROWTYPE;
    v_first     own_seqs%ROWTYPE;
BEGIN
    IF p_through <= p_base THEN
        RETURN 0;
    END IF;
    SELECT * INTO v_last FROM own_seqs o
    WHERE o.conversation_id = p_conversation AND o.user_id = p_user AND o.chunk BETWEEN v_chunk AND v_end
    ORDER BY o.chunk DESC LIMIT 1;
    IF FOUND THEN
        SELECT * INTO v_first FROM own_seqs o
        WHERE o.conversation_id = p_conversation AND o.user_id = p_user AND o.chunk BETWEEN v_chunk AND v_end
        ORDER BY o.chunk LIMIT 1;
        v_own := v_last.own_before
            + bit_count(CASE WHEN v_last.chunk = v_end THEN v_last.bits & ~ bits_above(p_through) ELSE v_last.bits END)
            - v_first.own_before
            - CASE WHEN v_first.chunk = v_chunk THEN bit_count(v_first.bits & ~ bits_above(p_base)) ELSE 0 END;
    END IF;
    SELECT coalesce(sum(bit_count(
               CASE WHEN u.chunk = v_chunk THEN u.bits & bits_above(p_base) ELSE u.bits END
               & CASE WHEN u.chunk = v_end THEN ~ bits_above(p_through) ELSE ~ repeat('0', 1024)::bit(1024) END
               & ~ coalesce(o.bits, repeat('0', 1024)::bit(1024)))), 0)
    INTO v_uncounted
    FROM (
        SELECT s.chunk, bit_or(s.bits) AS bits FROM (
            SELECT u.chunk, u.bits FROM uncounted u
            WHERE u.conversation_id = p_conversation
              AND u.chunk BETWEEN greatest(v_chunk, v_end - c_chunks_max) AND v_end
            UNION ALL
            SELECT s / 1024, bit_of(s) FROM unnest(p_also_uncounted) s WHERE s > p_base AND s <= p_through
        ) s GROUP BY s.chunk
    ) u
    LEFT JOIN own_seqs o ON o.conversation_id = p_conversation AND o.user_id = p_user AND o.chunk = u.chunk;
    RETURN greatest(p_through - p_base - v_own - v_uncounted, 0);
END $$;

-- The seqs above p_after that are uncounted, at most 1,024, the greatest ones.
CREATE FUNCTION uncounted_above(p_conversation uuid, p_after bigint) RETURNS bigint[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(s.seq ORDER BY s.seq), '{}') FROM (
        SELECT u.chunk * 1024 + position AS seq
        FROM uncounted u CROSS JOIN generate_series(0, 1023) position
        WHERE u.conversation_id = p_conversation AND u.chunk >= p_after / 1024 AND get_bit(u.bits, position) = 1
          AND u.chunk * 1024 + position > p_after
        ORDER BY 1 DESC LIMIT 1024
    ) s
$$;

-- The greatest seq at or below p_seq that is not uncounted; 0 when there is none among the 1,048,576 below.
CREATE FUNCTION newest_counted(p_conversation uuid, p_seq bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    c_chunks_max CONSTANT int := 1024;
    v_seq        bigint := p_seq;
    v_bits       bit(1024);
BEGIN
    FOR v_round IN 1..c_chunks_max LOOP
        EXIT WHEN v_seq <= 0;
        SELECT u.bits INTO v_bits FROM uncounted u WHERE u.conversation_id = p_conversation AND u.chunk = v_seq / 1024;
        IF NOT FOUND THEN
            RETURN v_seq;
        END IF;
        IF v_bits = ~ repeat('0', 1024)::bit(1024) THEN
            v_seq := v_seq / 1024 * 1024 - 1;
            CONTINUE;
        END IF;
        FOR v_position IN REVERSE (v_seq % 1024)::int..0 LOOP
            IF get_bit(v_bits, v_position) = 0 THEN
                RETURN v_seq / 1024 * 1024 + v_position;
            END IF;
        END LOOP;
        v_seq := v_seq / 1024 * 1024 - 1;
    END LOOP;
    RETURN 0;
END $$;

-- An operation of a member, as `members.recent` keeps it: 32 bytes, of its id's hash (8), its content's hash (8), its
-- revision (6), how far its seq is behind that (4), and when it got its place, in milliseconds since 1970 (6). STABLE as what
-- it calls, or Postgres would not inline it.
CREATE FUNCTION operation(p_op bytea, p_content bytea, p_revision bigint, p_seq bigint, p_at timestamptz) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT p_op || p_content || substring(int8send(p_revision) FROM 3) || substring(int8send(p_revision - p_seq) FROM 5)
        || substring(int8send((extract(epoch FROM p_at) * 1000)::bigint) FROM 3)
$$;

-- The number that these bytes are, at most seven.
CREATE FUNCTION number_of(p_bytes bytea) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || lpad(encode(p_bytes, 'hex'), 16, '0'))::bit(64)::bigint
$$;

-- Opens the direct conversation of two users, or finds it. `outcome`: 'ok', 'not_friends' or 'conversation_limit' when it is
-- not there and may not be opened, 'limited' with how long to wait. Each side's feed revision comes with it.
CREATE FUNCTION open_direct_conversation(
    p_candidate uuid, p_actor text, p_other text, p_conversations_max int, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, conversation_id uuid, created boolean, feed_revision bigint, other_feed_revision bigint, wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_low  text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
    v_now  timestamptz := date_trunc('milliseconds', clock_timestamp());
    v_wait bigint := budget_wait(p_actor, 'write', p_burst_us);
    v_id   uuid;
    v_user text;
BEGIN
    IF v_wait > 0 THEN
        RETURN QUERY SELECT 'limited', NULL::uuid, false, NULL::bigint, NULL::bigint, v_wait;
        RETURN;
    END IF;
    SELECT c.conversation_id INTO v_id FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high;
    IF NOT FOUND THEN
        PERFORM FROM friends f WHERE f.user_id = v_low AND f.other_id = v_high AND f.state = 'accepted' FOR SHARE;
        IF NOT FOUND THEN
            -- Not friends, or not any more: someone may have opened it before the friendship ended, while this waited.
            SELECT c.conversation_id INTO v_id FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high;
            IF v_id IS NULL THEN
                PERFORM use_budget(p_actor, 'write', p_call_us);
                RETURN QUERY SELECT 'not_friends', NULL::uuid, false, NULL::bigint, NULL::bigint, NULL::bigint;
                RETURN;
            END IF;
        ELSE
            -- Whose number of conversations is looked at under the lock of their feed, after the conversation is there: the
            -- one that would be too many is rolled back with its exception.
            BEGIN
                -- DO UPDATE, not DO NOTHING: it waits for a racing twin and answers its row.
                INSERT INTO conversations AS c
                    (conversation_id, kind, low_user_id, high_user_id, created_at, allocated_at, last_activity_at)
                VALUES (p_candidate, 'direct', v_low, v_high, v_now, v_now, v_now)
                ON CONFLICT (low_user_id, high_user_id) DO UPDATE SET low_user_id = EXCLUDED.low_user_id
                RETURNING c.conversation_id INTO v_id;
                IF v_id = p_candidate THEN
                    PERFORM lock_feeds(ARRAY[v_low, v_high]);
                    IF EXISTS (
                        SELECT FROM feeds f
                        WHERE f.user_id IN (v_low, v_high) AND f.conversation_count >= p_conversations_max
                    ) THEN
                        RAISE EXCEPTION USING ERRCODE = 'CH001';
                    END IF;
                    UPDATE feeds f SET revision = f.revision + 1, conversation_count = f.conversation_count + 1
                    WHERE f.user_id IN (v_low, v_high);
                    INSERT INTO members (conversation_id, user_id, joined_revision, visible_from_seq, feed_revision)
                    SELECT v_id, f.user_id, 0, 0, f.revision FROM feeds f WHERE f.user_id IN (v_low, v_high);
                END IF;
            EXCEPTION WHEN SQLSTATE 'CH001' THEN
                PERFORM use_budget(p_actor, 'write', p_call_us);
                RETURN QUERY SELECT 'conversation_limit', NULL::uuid, false, NULL::bigint, NULL::bigint, NULL::bigint;
                RETURN;
            END;
        END IF;
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN QUERY
    SELECT 'ok', v_id, v_id = p_candidate, max(m.feed_revision) FILTER (WHERE m.user_id = p_actor),
           max(m.feed_revision) FILTER (WHERE m.user_id = p_other), NULL::bigint
    FROM members m WHERE m.conversation_id = v_id AND m.user_id IN (p_actor, p_other);
END $$;

-- Ends a friendship or drops a request. It holds the direct conversation while it does, since sends check friendship
-- under that lock: whatever is sent after this has answered sees it gone.
CREATE FUNCTION remove_friend(p_actor text, p_other text, p_call_us bigint, p_burst_us bigint) RETURNS friendship
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_low   text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high  text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
    v_state text;
    v_wait  bigint;
BEGIN
    SELECT f.state INTO v_state FROM friends f WHERE f.user_id = v_low AND f.other_id = v_high FOR UPDATE;
    IF v_state IS NULL OR v_state = 'none' THEN
        -- To end something is always allowed. To say again that it ended is told to both, and is not.
        v_wait := charge(p_actor, 'invite', p_call_us, p_burst_us);
        IF v_wait > 0 THEN
            RETURN friendship_refused('limited', v_wait);
        END IF;
        RETURN friendship_of(p_actor, p_other, 'ok');
    END IF;
    PERFORM FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high FOR NO KEY UPDATE;
    RETURN set_friendship(p_actor, p_other, 'none', 'none');
END $$;

-- Who is told at once of what a member of a direct conversation does: both, as long as they are friends; later only the
-- actor's own devices, so that nobody is kept awake by who was sent away. The other sees it when they look.
CREATE FUNCTION members_told(p_low text, p_high text, p_actor text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM friends f WHERE f.user_id = p_low AND f.other_id = p_high AND f.state = 'accepted') THEN
        RETURN ARRAY[p_low, p_high];
    END IF;
    RETURN ARRAY[p_actor];
END $$;

-- The sequencer. Checks that the actor may make this change, and gives it its place: lock first, then look, so that the
-- checks see whatever was committed before.
--
-- No row: the conversation is not there for this actor. `outcome`:
--   'placed'; 'cannot_send', which names the place that the operation got when it was still allowed, if any;
--   'reused': the operation's id is remembered with other content, and nothing was done;
--   'limited': the actor writes too often, and nothing was done; `wait_us` says how long to wait.
--
-- p_op, p_content: hashes of 8 bytes of the operation's id and of its content. Each of its sender's newest operations gets
--     its place again when repeated, unless that place is not above p_after (it was closed by someone else).
-- p_is_message: whether the change is a message, which takes a seq.
-- p_floor_revision, p_floor_seq: what the timeline was found to hold; above 0 only when this sequencer went back.
-- p_read_seq: how far the actor has read, or 0. It holds whatever becomes of the change, below the change's own seq.
--
-- `messages_after` is the message count after the change, and so a message's seq. `read_seq`, `unread_count`, `counted_seq`
-- and `at` are set when p_read_seq is to be announced.
CREATE FUNCTION append(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_is_message boolean, p_after bigint,
    p_floor_revision bigint, p_floor_seq bigint, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, revision bigint, messages_after bigint, allocated_at timestamptz, member_ids text[],
    read_seq bigint, unread_count bigint, counted_seq bigint, at timestamptz, wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- How many operations of a member are remembered: more than one client has in flight at a time.
    c_recent_max    CONSTANT int := 8;
    c_recent_bytes  CONSTANT int := 32;
    v_conversation  conversations%ROWTYPE;
    v_member        members%ROWTYPE;
    v_position      int;
    v_known         bytea;
    v_base          bigint;
    v_may_send      boolean;
    v_changed       boolean := false;
BEGIN
    -- A stranger neither waits for the lock nor holds it up; members are looked at again under it. This is `budget_wait`
    -- within the same look.
    SELECT greatest(coalesce(ceil(extract(epoch FROM b.used_until - clock_timestamp()) * 1000000)::bigint - p_burst_us, 0), 0)
    INTO wait_us
    FROM members m LEFT JOIN budgets b ON b.user_id = p_actor AND b.class = 'write'
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        outcome := 'limited';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO v_member FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- As in members_told; looked up here, since every send passes here.
    v_may_send := EXISTS (
        SELECT FROM friends f
        WHERE f.user_id = v_conversation.low_user_id AND f.other_id = v_conversation.high_user_id AND f.state = 'accepted'
    );
    member_ids := CASE WHEN v_may_send THEN ARRAY[v_conversation.low_user_id, v_conversation.high_user_id]
        ELSE ARRAY[p_actor] END;

    v_position := position(p_op IN v_member.recent);
    IF v_position > 0 AND (v_position - 1) % c_recent_bytes = 0 THEN
        v_known := substring(v_member.recent FROM v_position FOR c_recent_bytes);
        IF number_of(substring(v_known FROM 17 FOR 6)) > p_after THEN
            revision := number_of(substring(v_known FROM 17 FOR 6));
            messages_after := revision - number_of(substring(v_known FROM 23 FOR 4));
            allocated_at := timestamptz 'epoch' + number_of(substring(v_known FROM 27 FOR 6)) * interval '1 millisecond';
        END IF;
    END IF;

    IF NOT v_may_send THEN
        -- Also when it has a place: what it would write there may not be what it asked for when it was allowed.
        outcome := 'cannot_send';
    ELSIF v_known IS NOT NULL AND substring(v_known FROM 9 FOR 8) <> p_content THEN
        outcome := 'reused';
        revision := NULL;
        messages_after := NULL;
    ELSE
        outcome := 'placed';
    END IF;

    -- How far they have read is their own act; what is above is unread to them before this change.
    IF p_read_seq > 0 THEN
        v_base := least(p_read_seq, coalesce(messages_after - p_is_message::int, v_conversation.message_count));
        IF v_base >= v_member.read_seq THEN
            v_changed := v_base > v_member.read_seq;
            v_member.read_seq := v_base;
            read_seq := v_base;
        END IF;
    END IF;

    IF outcome = 'placed' AND revision IS NULL THEN
        revision := greatest(v_conversation.revision, p_floor_revision) + 1;
        messages_after := greatest(v_conversation.message_count, p_floor_seq) + p_is_message::int;
        allocated_at := greatest(v_conversation.allocated_at, date_trunc('milliseconds', clock_timestamp()));

        UPDATE conversations c SET
            revision         = append.revision,
            message_count    = append.messages_after,
            allocated_at     = append.allocated_at,
            last_activity_at = CASE WHEN p_is_message THEN append.allocated_at ELSE c.last_activity_at END
        WHERE c.conversation_id = p_conversation;

        IF p_is_message THEN
            v_base := greatest(v_member.read_seq, v_member.caught_up_seq, v_member.visible_from_seq);
            IF v_base >= messages_after - 1
               OR count_unread(p_conversation, p_actor, v_base, messages_after - 1) = 0
            THEN
                v_member.caught_up_seq := messages_after;
            ELSE
                INSERT INTO own_seqs AS o (conversation_id, user_id, chunk, own_before, bits)
                SELECT p_conversation, p_actor, messages_after / 1024, coalesce(max(l.own_before + bit_count(l.bits)), 0),
                       bit_of(messages_after)
                FROM (
                    SELECT l.own_before, l.bits FROM own_seqs l
                    WHERE l.conversation_id = p_conversation AND l.user_id = p_actor ORDER BY l.chunk DESC LIMIT 1
                ) l
                ON CONFLICT (conversation_id, user_id, chunk) DO UPDATE SET bits = o.bits | EXCLUDED.bits;
                v_member.own_seq := messages_after;
            END IF;
        END IF;
        -- The oldest is forgotten, and this operation's own earlier place, which is of no use any more.
        v_member.recent := substring(
            operation(p_op, p_content, revision, messages_after, allocated_at)
            || CASE WHEN v_known IS NULL THEN v_member.recent ELSE
                   substring(v_member.recent FROM 1 FOR v_position - 1) || substring(v_member.recent FROM v_position + c_recent_bytes)
               END
            FROM 1 FOR c_recent_max * c_recent_bytes);
        v_conversation.message_count := messages_after;
        v_changed := true;
    END IF;

    IF v_changed THEN
        UPDATE members m SET
            recent = v_member.recent, read_seq = v_member.read_seq, caught_up_seq = v_member.caught_up_seq,
            own_seq = v_member.own_seq
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    END IF;
    IF read_seq IS NOT NULL THEN
        at := clock_timestamp();
        counted_seq := v_conversation.message_count;
        unread_count := count_unread(
            p_conversation, p_actor, greatest(v_member.read_seq, v_member.caught_up_seq, v_member.visible_from_seq), counted_seq);
    END IF;
    wait_us := NULL;
    -- This is `use_budget`, without calling it where there is a row.
    UPDATE budgets b SET used_until = greatest(b.used_until, clock_timestamp()) + p_call_us * interval '1 microsecond'
    WHERE b.user_id = p_actor AND b.class = 'write';
    IF NOT FOUND THEN
        PERFORM use_budget(p_actor, 'write', p_call_us);
    END IF;
    RETURN NEXT;
END $$;

-- Moves a member's read position forward, never past the newest seq. No row: the conversation is not there for this user.
-- `announce`: whether the position is what was asked for, so that others are told, again after a lost answer. `wait_us` is
-- above 0 when they write too often and nothing was done.
CREATE FUNCTION mark_conversation_read(
    p_conversation uuid, p_actor text, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    read_seq bigint, unread_count bigint, counted_seq bigint, announce boolean, at timestamptz, member_ids text[], wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c_chunks_max   CONSTANT int := 64;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_base         bigint;
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation;
    SELECT * INTO v_member FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        RETURN NEXT;
        RETURN;
    END IF;
    counted_seq := v_conversation.message_count;
    IF least(p_read_seq, counted_seq) > v_member.read_seq THEN
        -- Another call of theirs may have been faster.
        UPDATE members m SET read_seq = greatest(m.read_seq, least(p_read_seq, counted_seq))
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor
        RETURNING * INTO v_member;
    END IF;
    read_seq := v_member.read_seq;
    announce := read_seq > 0 AND read_seq = least(p_read_seq, counted_seq);
    at := clock_timestamp();
    v_base := greatest(read_seq, v_member.caught_up_seq, v_member.visible_from_seq);
    unread_count := count_unread(p_conversation, p_actor, v_base, counted_seq);
    member_ids := members_told(v_conversation.low_user_id, v_conversation.high_user_id, p_actor);
    IF v_member.own_seq > 0 THEN
        -- Own seqs below what is read need not be told apart any more.
        DELETE FROM own_seqs o WHERE o.conversation_id = p_conversation AND o.user_id = p_actor AND o.chunk IN (
            SELECT s.chunk FROM own_seqs s
            WHERE s.conversation_id = p_conversation AND s.user_id = p_actor AND s.chunk < v_base / 1024
            ORDER BY s.chunk LIMIT c_chunks_max);
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
END $$;

-- Keeps what was found out about a conversation: that all places up to a revision are taken, that all seqs up to one are
-- settled, and which seqs no message has. Where p_newest_at is set, every place was found taken while p_message_count was the
-- newest seq: then that is when something was last said.
CREATE FUNCTION seal(
    p_conversation uuid, p_closed_revision bigint, p_closed_seq bigint, p_uncounted bigint[], p_message_count bigint,
    p_newest_at timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM conversations c WHERE c.conversation_id = p_conversation FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO uncounted AS u (conversation_id, chunk, bits)
    SELECT p_conversation, s / 1024, bit_or(bit_of(s)) FROM unnest(p_uncounted) s GROUP BY 2 ORDER BY 2
    ON CONFLICT (conversation_id, chunk) DO UPDATE SET bits = u.bits | EXCLUDED.bits;
    UPDATE conversations c SET
        closed_revision = greatest(c.closed_revision, p_closed_revision),
        closed_seq = greatest(c.closed_seq, p_closed_seq),
        uncounted_seq = greatest(c.uncounted_seq, (SELECT max(s) FROM unnest(p_uncounted) s)),
        last_activity_at = CASE
            WHEN p_newest_at IS NOT NULL AND c.message_count = p_message_count THEN p_newest_at ELSE c.last_activity_at END
    WHERE c.conversation_id = p_conversation;
END $$;
