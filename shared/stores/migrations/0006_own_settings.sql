-- What a conversation is to one member alone: until when it is silent, whether it is put away, kept on top, or flagged as unread.

-- All null at first, so that who sets nothing pays no room for it; what a send changes is not among it.
ALTER TABLE members
    ADD COLUMN muted_until       timestamptz,
    ADD COLUMN archived          boolean,
    ADD COLUMN pinned            boolean,
    ADD COLUMN marked_unread     boolean,
    -- Where the newest change of these stands in their feed.
    ADD COLUMN settings_revision bigint,
    -- What tells their cursors from those before they last cleared history; theirs alone, unlike the revision at which they joined.
    ADD COLUMN cleared_revision  bigint,
    -- Hidden from their lists unless something was said after this seq, or they have come again since this revision.
    ADD COLUMN hidden_seq        bigint,
    ADD COLUMN hidden_revision   bigint,
    -- What they said has reached a device of theirs. What is read is delivered, whatever this says.
    ADD COLUMN delivered_seq     bigint;

-- What a user is in, as lists ask for it: what is pinned, at most a hundred; what is archived; what was hidden; and all the rest.
CREATE INDEX members_pinned ON members (user_id, conversation_id) WHERE pinned AND ended_at IS NULL;
CREATE INDEX members_archived ON members (user_id, conversation_id)
    WHERE archived AND pinned IS NULL AND hidden_seq IS NULL AND ended_at IS NULL;
CREATE INDEX members_hidden ON members (user_id, conversation_id) WHERE hidden_seq IS NOT NULL AND ended_at IS NULL;
CREATE INDEX members_listed ON members (user_id, conversation_id)
    WHERE archived IS NULL AND pinned IS NULL AND hidden_seq IS NULL AND ended_at IS NULL;

-- Through which seq a member has hidden a conversation; null if they have not, or have come again since.
CREATE FUNCTION hidden_through(p_member members) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_member.joined_revision <= p_member.hidden_revision THEN p_member.hidden_seq END
$$;

-- Sets what a conversation is to a member, whose row is locked, at the next place of their feed. Answers which.
CREATE FUNCTION set_own(
    p_conversation uuid, p_actor text, p_muted_until timestamptz, p_archived boolean, p_pinned boolean, p_marked_unread boolean
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_revision bigint;
BEGIN
    PERFORM lock_feeds(ARRAY[p_actor]);
    UPDATE feeds f SET revision = f.revision + 1 WHERE f.user_id = p_actor RETURNING f.revision INTO v_revision;
    UPDATE members m SET
        muted_until = p_muted_until, archived = nullif(p_archived, false), pinned = nullif(p_pinned, false),
        marked_unread = nullif(p_marked_unread, false), settings_revision = v_revision, feed_revision = v_revision
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    RETURN v_revision;
END $$;

-- Changes what a conversation is to a member; null leaves it as it is. `outcome`:
--   'ok': so it is now; `feed_revision` is set if something changed;
--   'changed': it has changed since p_settings_revision, and is not as asked for; 'pinned_limit': they have pinned too many;
--   'missing': it is not there for this user; 'limited': they write too often, `wait_us` says how long to wait.
CREATE FUNCTION change_own(
    p_conversation uuid, p_actor text, p_settings_revision bigint, p_sets_muted boolean, p_muted_until timestamptz,
    p_archived boolean, p_pinned boolean, p_marked_unread boolean, p_pinned_max int, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, feed_revision bigint, settings_revision bigint, muted_until timestamptz, archived boolean, pinned boolean,
    marked_unread boolean, visible_from_seq bigint, hidden_through_seq bigint, at timestamptz, wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_member members%ROWTYPE;
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL FOR NO KEY UPDATE;
    at := clock_timestamp();
    IF NOT FOUND OR (SELECT c.deleted_at IS NOT NULL FROM conversations c WHERE c.conversation_id = p_conversation) THEN
        outcome := 'missing';
        RETURN NEXT;
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        outcome := 'limited';
        RETURN NEXT;
        RETURN;
    END IF;
    -- A mute that is over is none.
    muted_until := CASE WHEN p_sets_muted THEN p_muted_until ELSE v_member.muted_until END;
    muted_until := CASE WHEN muted_until > at THEN muted_until END;
    archived := coalesce(p_archived, v_member.archived, false);
    pinned := coalesce(p_pinned, v_member.pinned, false);
    marked_unread := coalesce(p_marked_unread, v_member.marked_unread, false);
    settings_revision := coalesce(v_member.settings_revision, 0);
    visible_from_seq := v_member.visible_from_seq;
    hidden_through_seq := hidden_through(v_member);
    IF (muted_until, archived, pinned, marked_unread) IS NOT DISTINCT FROM (
        CASE WHEN v_member.muted_until > at THEN v_member.muted_until END, coalesce(v_member.archived, false),
        coalesce(v_member.pinned, false), coalesce(v_member.marked_unread, false))
    THEN
        outcome := 'ok';
    ELSIF settings_revision <> p_settings_revision THEN
        outcome := 'changed';
    ELSE
        -- What is pinned is counted under the feed's lock.
        PERFORM lock_feeds(ARRAY[p_actor]);
        IF pinned AND v_member.pinned IS NULL AND p_pinned_max <= (
            SELECT count(*) FROM members m WHERE m.user_id = p_actor AND m.pinned AND m.ended_at IS NULL)
        THEN
            outcome := 'pinned_limit';
        ELSE
            outcome := 'ok';
            feed_revision := set_own(p_conversation, p_actor, muted_until, archived, pinned, marked_unread);
            settings_revision := feed_revision;
        END IF;
    END IF;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
END $$;

-- The sequencer. Checks that the actor may make this change, and gives it its place: lock first, then look, so that the
-- checks see whatever was committed before.
--
-- No row: the conversation is not there for this actor. `outcome`:
--   'placed'; 'cannot_send' (a direct conversation of former friends) and 'not_permitted' (a role that may not send), which
--   name the place that the operation got when it was still allowed, if any;
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
-- `feed_revision` and what follows are set with them when it took off that the conversation was marked as unread.
CREATE FUNCTION take_place(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_is_message boolean, p_after bigint,
    p_floor_revision bigint, p_floor_seq bigint, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, revision bigint, messages_after bigint, allocated_at timestamptz, member_ids text[],
    read_seq bigint, unread_count bigint, counted_seq bigint, at timestamptz, wait_us bigint,
    feed_revision bigint, muted_until timestamptz, archived boolean, pinned boolean, visible_from_seq bigint,
    hidden_through_seq bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- How many operations of a member are remembered: more than one client has in flight at a time.
    c_recent_max    CONSTANT int := 8;
    c_recent_bytes  CONSTANT int := 32;
    -- The bit of chat_domain::Permission::SendMessages.
    c_send_messages CONSTANT int := 1;
    v_conversation  conversations%ROWTYPE;
    v_member        members%ROWTYPE;
    v_position      int;
    v_known         bytea;
    v_base          bigint;
    v_may_send      boolean;
    v_changed       boolean := false;
    v_call_us       bigint;
BEGIN
    -- A stranger neither waits for the lock nor holds it up; members are looked at again under it. This is `budget_wait`
    -- within the same look.
    SELECT greatest(coalesce(ceil(extract(epoch FROM b.used_until - clock_timestamp()) * 1000000)::bigint - p_burst_us, 0), 0)
    INTO wait_us
    FROM members m LEFT JOIN budgets b ON b.user_id = p_actor AND b.class = 'write'
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        outcome := 'limited';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_conversation FROM conversations c
    WHERE c.conversation_id = p_conversation AND c.deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- As in told; looked up here, since every send passes here.
    IF v_conversation.kind = 'direct' THEN
        v_may_send := EXISTS (
            SELECT FROM friends f
            WHERE f.user_id = v_conversation.low_user_id AND f.other_id = v_conversation.high_user_id AND f.state = 'accepted'
        );
        member_ids := CASE WHEN v_may_send THEN ARRAY[v_conversation.low_user_id, v_conversation.high_user_id]
            ELSE ARRAY[p_actor] END;
    ELSE
        v_may_send := may(v_member.role, v_conversation.member_may, v_conversation.admin_may, c_send_messages);
    END IF;

    v_position := position(p_op IN v_member.recent);
    IF v_position > 0 AND (v_position - 1) % c_recent_bytes = 0 THEN
        v_known := substring(v_member.recent FROM v_position FOR c_recent_bytes);
        IF number_of(substring(v_known FROM 17 FOR 6)) > p_after THEN
            revision := number_of(substring(v_known FROM 17 FOR 6));
            messages_after := revision - number_of(substring(v_known FROM 23 FOR 4));
            allocated_at := timestamptz 'epoch' + number_of(substring(v_known FROM 27 FOR 6)) * interval '1 millisecond';
        END IF;
    END IF;

    IF v_conversation.kind = 'group' AND v_conversation.member_count <= named_members_max() THEN
        -- Who has come since it got its place is told nothing of it.
        member_ids := ARRAY(
            SELECT m.user_id FROM members m
            WHERE m.conversation_id = p_conversation AND m.ended_at IS NULL
              AND (take_place.revision IS NULL OR m.joined_revision < take_place.revision)
            ORDER BY 1);
    END IF;

    IF NOT v_may_send THEN
        -- Also when it has a place: what it would write there may not be what it asked for when it was allowed.
        outcome := CASE v_conversation.kind WHEN 'direct' THEN 'cannot_send' ELSE 'not_permitted' END;
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
        IF v_conversation.kind = 'group'
           AND (p_floor_revision > v_conversation.revision OR p_floor_seq > v_conversation.message_count)
        THEN
            PERFORM forget_for_newcomers(
                p_conversation, v_conversation.closed_revision, p_floor_revision, p_floor_seq);
            IF v_member.joined_revision > v_conversation.closed_revision THEN
                v_member.caught_up_seq := greatest(v_member.caught_up_seq, p_floor_seq);
            END IF;
        END IF;
        revision := greatest(v_conversation.revision, p_floor_revision) + 1;
        messages_after := greatest(v_conversation.message_count, p_floor_seq) + p_is_message::int;
        allocated_at := greatest(v_conversation.allocated_at, date_trunc('milliseconds', clock_timestamp()));

        UPDATE conversations c SET
            revision         = take_place.revision,
            message_count    = take_place.messages_after,
            allocated_at     = take_place.allocated_at,
            last_activity_at = CASE WHEN p_is_message THEN take_place.allocated_at ELSE c.last_activity_at END
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
    -- Who says how far they have read has opened it; who repeats that may have marked it as unread since.
    IF read_seq IS NOT NULL AND v_member.marked_unread AND v_known IS NULL THEN
        feed_revision := set_own(p_conversation, p_actor, v_member.muted_until, v_member.archived, v_member.pinned, false);
        muted_until := v_member.muted_until;
        archived := coalesce(v_member.archived, false);
        pinned := coalesce(v_member.pinned, false);
        visible_from_seq := v_member.visible_from_seq;
        hidden_through_seq := hidden_through(v_member);
    END IF;
    wait_us := NULL;
    v_call_us := p_call_us * reach(v_conversation.member_count);
    -- This is `use_budget`, without calling it where there is a row.
    UPDATE budgets b SET used_until = greatest(b.used_until, clock_timestamp()) + v_call_us * interval '1 microsecond'
    WHERE b.user_id = p_actor AND b.class = 'write';
    IF NOT FOUND THEN
        PERFORM use_budget(p_actor, 'write', v_call_us);
    END IF;
    RETURN NEXT;
END $$;

-- What functions of the version before call.
CREATE OR REPLACE FUNCTION append(
    p_conversation uuid, p_actor text, p_op bytea, p_content bytea, p_is_message boolean, p_after bigint,
    p_floor_revision bigint, p_floor_seq bigint, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, revision bigint, messages_after bigint, allocated_at timestamptz, member_ids text[],
    read_seq bigint, unread_count bigint, counted_seq bigint, at timestamptz, wait_us bigint
)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.outcome, p.revision, p.messages_after, p.allocated_at, p.member_ids, p.read_seq, p.unread_count, p.counted_seq, p.at,
           p.wait_us
    FROM take_place(p_conversation, p_actor, p_op, p_content, p_is_message, p_after, p_floor_revision, p_floor_seq, p_read_seq,
                    p_call_us, p_burst_us) p
$$;

-- Moves a member's read position forward, never past the newest seq, and takes off that they have marked the conversation as
-- unread. No row: the conversation is not there for this user. `announce`: whether the position is what was asked for, so that
-- others are told, again after a lost answer. `wait_us` is above 0 when they write too often and nothing was done.
-- p_is_repeat: the position was told before; what was marked as unread since stays so. `feed_revision` and what follows are set
-- when that was taken off.
CREATE FUNCTION mark_read(
    p_conversation uuid, p_actor text, p_read_seq bigint, p_is_repeat boolean, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    read_seq bigint, unread_count bigint, counted_seq bigint, announce boolean, at timestamptz, member_ids text[], wait_us bigint,
    feed_revision bigint, muted_until timestamptz, archived boolean, pinned boolean, visible_from_seq bigint,
    hidden_through_seq bigint
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
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL;
    IF NOT FOUND OR v_conversation.deleted_at IS NOT NULL THEN
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
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL
        RETURNING * INTO v_member;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    read_seq := v_member.read_seq;
    announce := read_seq > 0 AND read_seq = least(p_read_seq, counted_seq);
    at := clock_timestamp();
    v_base := greatest(read_seq, v_member.caught_up_seq, v_member.visible_from_seq);
    unread_count := count_unread(p_conversation, p_actor, v_base, counted_seq);
    -- Where they are too many to name, they are not told either.
    member_ids := coalesce(
        told(p_conversation, v_conversation.low_user_id, v_conversation.high_user_id, p_actor), ARRAY[p_actor]);
    IF v_member.marked_unread AND read_seq = least(p_read_seq, counted_seq) AND NOT p_is_repeat THEN
        -- Another call of theirs may have taken it off, or set something else.
        SELECT * INTO v_member FROM members m
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL FOR NO KEY UPDATE;
        IF v_member.marked_unread THEN
            feed_revision := set_own(p_conversation, p_actor, v_member.muted_until, v_member.archived, v_member.pinned, false);
            muted_until := v_member.muted_until;
            archived := coalesce(v_member.archived, false);
            pinned := coalesce(v_member.pinned, false);
            visible_from_seq := v_member.visible_from_seq;
            hidden_through_seq := hidden_through(v_member);
        END IF;
    END IF;
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

-- What functions of the version before call.
CREATE OR REPLACE FUNCTION mark_conversation_read(
    p_conversation uuid, p_actor text, p_read_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    read_seq bigint, unread_count bigint, counted_seq bigint, announce boolean, at timestamptz, member_ids text[], wait_us bigint
)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.read_seq, p.unread_count, p.counted_seq, p.announce, p.at, p.member_ids, p.wait_us
    FROM mark_read(p_conversation, p_actor, p_read_seq, false, p_call_us, p_burst_us) p
$$;

-- Whether a member has hidden a conversation that is so far and has nothing newer to them.
CREATE FUNCTION is_hidden(p_member members, p_conversation conversations) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN hidden_through(p_member) IS NOT NULL AND (
        p_conversation.message_count <= p_member.hidden_seq
        OR p_conversation.uncounted_seq >= p_conversation.message_count
            AND newest_counted(p_conversation.conversation_id, p_conversation.message_count) <= p_member.hidden_seq);
END $$;

-- Takes away from a member's view what has a seq up to p_through, or hides the conversation from their lists until something is
-- said above it. `outcome` is 'ok', 'missing' or 'limited', as of change_own; `feed_revision` is set if something changed.
CREATE FUNCTION withdraw(
    p_conversation uuid, p_actor text, p_through bigint, p_clears boolean, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (
    outcome text, feed_revision bigint, settings_revision bigint, muted_until timestamptz, archived boolean, pinned boolean,
    marked_unread boolean, visible_from_seq bigint, hidden_through_seq bigint, read_seq bigint, unread_count bigint,
    counted_seq bigint, at timestamptz, wait_us bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_through      bigint;
    v_changes      boolean;
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL FOR NO KEY UPDATE;
    at := clock_timestamp();
    IF NOT FOUND OR (SELECT c.deleted_at IS NOT NULL FROM conversations c WHERE c.conversation_id = p_conversation) THEN
        outcome := 'missing';
        RETURN NEXT;
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        outcome := 'limited';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation;
    v_through := least(p_through, v_conversation.message_count);
    IF p_clears THEN
        v_changes := v_through > v_member.visible_from_seq;
    ELSE
        v_changes := NOT is_hidden(v_member, v_conversation);
        IF v_changes THEN
            v_member.hidden_seq := v_through;
            v_member.hidden_revision := v_conversation.revision;
            v_changes := is_hidden(v_member, v_conversation);
        END IF;
    END IF;
    IF v_changes THEN
        IF p_clears THEN
            -- A place is never below its seq. What is hidden stays so.
            UPDATE members m SET
                visible_from_seq = v_through,
                visible_from_revision = greatest(m.visible_from_revision, CASE v_through
                    WHEN v_conversation.message_count THEN v_conversation.revision ELSE v_through END),
                cleared_revision = greatest(v_conversation.revision, greatest(m.joined_revision, m.cleared_revision) + 1)
            WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
        ELSE
            UPDATE members m SET hidden_seq = v_member.hidden_seq, hidden_revision = v_member.hidden_revision
            WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
        END IF;
        feed_revision := set_own(
            p_conversation, p_actor, v_member.muted_until, v_member.archived, v_member.pinned, v_member.marked_unread);
        SELECT * INTO v_member FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    END IF;
    outcome := 'ok';
    settings_revision := coalesce(v_member.settings_revision, 0);
    muted_until := CASE WHEN v_member.muted_until > at THEN v_member.muted_until END;
    archived := coalesce(v_member.archived, false);
    pinned := coalesce(v_member.pinned, false);
    marked_unread := coalesce(v_member.marked_unread, false);
    visible_from_seq := v_member.visible_from_seq;
    hidden_through_seq := hidden_through(v_member);
    read_seq := v_member.read_seq;
    counted_seq := v_conversation.message_count;
    unread_count := count_unread(
        p_conversation, p_actor, greatest(v_member.read_seq, v_member.caught_up_seq, v_member.visible_from_seq), counted_seq);
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
END $$;

-- Moves what has reached a member's devices forward, never past the newest seq; where there are too many members
-- to name, nothing is kept. No row: the conversation is not there for this user. `announce`: whether it is what was asked for, and more
-- than is read, so that all are told. `wait_us` is above 0 when they write too often and nothing was done.
CREATE FUNCTION mark_delivered(
    p_conversation uuid, p_actor text, p_delivered_seq bigint, p_call_us bigint, p_burst_us bigint
)
RETURNS TABLE (delivered_seq bigint, announce boolean, at timestamptz, member_ids text[], wait_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_asked        bigint;
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    SELECT * INTO v_conversation FROM conversations c WHERE c.conversation_id = p_conversation;
    SELECT * INTO v_member FROM members m
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL;
    IF NOT FOUND OR v_conversation.deleted_at IS NOT NULL THEN
        RETURN;
    END IF;
    IF wait_us > 0 THEN
        RETURN NEXT;
        RETURN;
    END IF;
    v_asked := least(p_delivered_seq, v_conversation.message_count);
    IF v_conversation.member_count <= named_members_max() AND v_asked > greatest(v_member.read_seq, v_member.delivered_seq) THEN
        -- Another call of theirs may have been faster.
        UPDATE members m SET delivered_seq = greatest(m.delivered_seq, v_asked)
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND m.ended_at IS NULL
        RETURNING * INTO v_member;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    delivered_seq := greatest(v_member.read_seq, v_member.delivered_seq);
    announce := delivered_seq = v_asked AND delivered_seq > v_member.read_seq;
    at := clock_timestamp();
    member_ids := CASE WHEN announce
        THEN told(p_conversation, v_conversation.low_user_id, v_conversation.high_user_id, p_actor) ELSE '{}' END;
    PERFORM use_budget(p_actor, 'write', p_call_us);
    RETURN NEXT;
END $$;
