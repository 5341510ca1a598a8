-- Conversations, their members, and the sequencer that gives every change its place.

-- fillfactor and the absence of an index on what a send changes keep those updates on their page (HOT).
CREATE TABLE conversations (
    conversation_id      uuid        PRIMARY KEY,
    kind                 text        NOT NULL CHECK (kind = 'direct'),
    low_user_id          text COLLATE "C" NOT NULL,
    high_user_id         text COLLATE "C" NOT NULL,
    created_at           timestamptz NOT NULL,
    -- The newest revision and seq handed out.
    revision             bigint      NOT NULL DEFAULT 0,
    message_count        bigint      NOT NULL DEFAULT 0,
    -- Every place up to this revision is known to be taken in the timeline. A hint that saves counting them.
    closed_revision      bigint      NOT NULL DEFAULT 0,
    -- When the newest revision was handed out. Whole milliseconds, as MongoDB keeps them.
    allocated_at         timestamptz NOT NULL,
    last_activity_at     timestamptz NOT NULL,
    -- A hint for lists: the newest message as it was handed its place.
    last_message_seq     bigint,
    last_message_sender  text,
    last_message_excerpt text,
    last_message_at      timestamptz,
    UNIQUE (low_user_id, high_user_id),
    CHECK (low_user_id < high_user_id)
) WITH (fillfactor = 70);

-- An operation of a member and the place that it got.
CREATE TYPE placed_operation AS (op_id text, revision bigint, messages_after bigint, allocated_at timestamptz);

CREATE TABLE members (
    conversation_id uuid   NOT NULL REFERENCES conversations,
    user_id         text COLLATE "C" NOT NULL,
    -- The conversation's revision and message count when they joined.
    joined_revision bigint NOT NULL,
    joined_seq      bigint NOT NULL,
    -- What they said they have read, and the newest message of their own, which is never unread to them.
    read_seq        bigint NOT NULL DEFAULT 0,
    own_seq         bigint NOT NULL DEFAULT 0,
    -- Their newest operations and the places that those got, newest first, so that a repeat gets its place again.
    recent_operations placed_operation[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);

CREATE INDEX members_by_user ON members (user_id, conversation_id);

-- Opens the direct conversation of two users, or finds it. `conversation_id` is null when it is not there and may not
-- be opened, since the two are not friends.
--
-- Lock order everywhere: friendship, conversation, members.
CREATE FUNCTION open_direct_conversation(p_candidate uuid, p_actor text, p_other text)
RETURNS TABLE (conversation_id uuid, created boolean)
LANGUAGE plpgsql AS $$
DECLARE
    v_low  text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
    v_now  timestamptz := date_trunc('milliseconds', clock_timestamp());
    v_id   uuid;
BEGIN
    SELECT c.conversation_id INTO v_id FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high;
    IF NOT FOUND THEN
        PERFORM FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high AND f.accepted FOR SHARE;
        IF NOT FOUND THEN
            -- Not friends, or not any more: someone may have opened it before the friendship ended, while this waited.
            SELECT c.conversation_id INTO v_id FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high;
            RETURN QUERY SELECT v_id, false;
            RETURN;
        END IF;
        -- DO UPDATE, not DO NOTHING: it waits for a racing twin and answers its row.
        INSERT INTO conversations AS c
            (conversation_id, kind, low_user_id, high_user_id, created_at, allocated_at, last_activity_at)
        VALUES (p_candidate, 'direct', v_low, v_high, v_now, v_now, v_now)
        ON CONFLICT (low_user_id, high_user_id) DO UPDATE SET low_user_id = EXCLUDED.low_user_id
        RETURNING c.conversation_id INTO v_id;
        IF v_id = p_candidate THEN
            INSERT INTO members (conversation_id, user_id, joined_revision, joined_seq)
            VALUES (v_id, v_low, 0, 0), (v_id, v_high, 0, 0);
        END IF;
    END IF;
    RETURN QUERY SELECT v_id, v_id = p_candidate;
END $$;

-- Ends a friendship or drops a request. It holds the direct conversation while it does, since sends check friendship
-- under that lock: whatever is sent after this has answered sees it gone. Answers when, or null when there was nothing.
CREATE FUNCTION remove_friend(p_actor text, p_other text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    v_low  text COLLATE "C" := least(p_actor COLLATE "C", p_other COLLATE "C");
    v_high text COLLATE "C" := greatest(p_actor COLLATE "C", p_other COLLATE "C");
BEGIN
    PERFORM FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM conversations c WHERE c.low_user_id = v_low AND c.high_user_id = v_high FOR NO KEY UPDATE;
    DELETE FROM friendships f WHERE f.low_user_id = v_low AND f.high_user_id = v_high;
    RETURN clock_timestamp();
END $$;

-- The sequencer. Checks that the actor may make this change, and gives it its place: lock first, then look, so that the
-- checks see whatever was committed before.
--
-- No row: the conversation is not there for this actor. `outcome`: 'placed', or 'cannot_send', which names the place that
-- the operation got when it was still allowed, if any.
--
-- p_op: the operation's id; each of its sender's newest operations gets its place again when repeated, unless that place
--     is not above p_after (it was closed by someone else).
-- p_excerpt: the preview when the change is a message; null otherwise.
-- p_floor_revision, p_floor_seq: what the timeline was found to hold; above 0 only when this sequencer went back.
--
-- `messages_after` is the message count after the change, and so a message's seq. `member_ids` is null for more than
-- p_members_max members.
CREATE FUNCTION append(
    p_conversation uuid, p_actor text, p_op text, p_excerpt text, p_after bigint,
    p_floor_revision bigint, p_floor_seq bigint, p_members_max int
)
RETURNS TABLE (outcome text, revision bigint, messages_after bigint, allocated_at timestamptz, member_ids text[])
LANGUAGE plpgsql AS $$
DECLARE
    -- How many operations of a member are remembered: more than one client has in flight at a time.
    c_recent_max   CONSTANT int := 8;
    v_conversation conversations%ROWTYPE;
    v_member       members%ROWTYPE;
    v_place        placed_operation;
    v_is_message   boolean := p_excerpt IS NOT NULL;
    v_members      text[];
BEGIN
    -- A stranger neither waits for the lock nor holds it up; members are looked at again under it.
    IF NOT EXISTS (SELECT FROM members m WHERE m.conversation_id = p_conversation AND m.user_id = p_actor) THEN
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

    v_members := ARRAY(
        SELECT m.user_id FROM members m WHERE m.conversation_id = p_conversation ORDER BY m.user_id LIMIT p_members_max + 1
    );
    IF cardinality(v_members) > p_members_max THEN
        v_members := NULL;
    END IF;

    SELECT o.op_id, o.revision, o.messages_after, o.allocated_at INTO v_place
    FROM unnest(v_member.recent_operations) o
    WHERE o.op_id = p_op AND o.revision > p_after;

    IF v_conversation.kind = 'direct' AND NOT EXISTS (
        SELECT FROM friendships f
        WHERE f.low_user_id = v_conversation.low_user_id AND f.high_user_id = v_conversation.high_user_id AND f.accepted
    ) THEN
        -- Also when it has a place: what it would write there may not be what it asked for when it was allowed.
        RETURN QUERY SELECT 'cannot_send', v_place.revision, v_place.messages_after, v_place.allocated_at, v_members;
        RETURN;
    END IF;

    IF v_place.revision IS NULL THEN
        v_place.op_id := p_op;
        v_place.revision := greatest(v_conversation.revision, p_floor_revision) + 1;
        v_place.messages_after := greatest(v_conversation.message_count, p_floor_seq) + v_is_message::int;
        v_place.allocated_at := greatest(v_conversation.allocated_at, date_trunc('milliseconds', clock_timestamp()));

        UPDATE conversations c SET
            revision             = v_place.revision,
            message_count        = v_place.messages_after,
            allocated_at         = v_place.allocated_at,
            last_activity_at     = CASE WHEN v_is_message THEN v_place.allocated_at ELSE c.last_activity_at END,
            last_message_seq     = CASE WHEN v_is_message THEN v_place.messages_after ELSE c.last_message_seq END,
            last_message_sender  = CASE WHEN v_is_message THEN p_actor ELSE c.last_message_sender END,
            last_message_excerpt = CASE WHEN v_is_message THEN p_excerpt ELSE c.last_message_excerpt END,
            last_message_at      = CASE WHEN v_is_message THEN v_place.allocated_at ELSE c.last_message_at END
        WHERE c.conversation_id = p_conversation;

        UPDATE members m SET
            recent_operations = (array_prepend(
                v_place, ARRAY(SELECT o FROM unnest(m.recent_operations) o WHERE o.op_id <> p_op)
            ))[1:c_recent_max],
            own_seq = CASE WHEN v_is_message THEN v_place.messages_after ELSE m.own_seq END
        WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
    END IF;

    RETURN QUERY SELECT 'placed', v_place.revision, v_place.messages_after, v_place.allocated_at, v_members;
END $$;

-- Moves a member's read position forward, never past the newest message. No row: the conversation is not there for this
-- user. `changed` tells whether there is anything to announce.
CREATE FUNCTION mark_conversation_read(p_conversation uuid, p_actor text, p_read_seq bigint, p_members_max int)
RETURNS TABLE (read_seq bigint, unread_count bigint, changed boolean, at timestamptz, member_ids text[])
LANGUAGE plpgsql AS $$
DECLARE
    v_changed boolean;
BEGIN
    UPDATE members m SET read_seq = least(p_read_seq, c.message_count)
    FROM conversations c
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor AND c.conversation_id = p_conversation
      AND m.read_seq < least(p_read_seq, c.message_count);
    v_changed := FOUND;
    RETURN QUERY
    SELECT m.read_seq,
           greatest(c.message_count - greatest(m.read_seq, m.own_seq, m.joined_seq), 0),
           v_changed,
           clock_timestamp(),
           ARRAY(SELECT o.user_id FROM members o WHERE o.conversation_id = p_conversation ORDER BY o.user_id LIMIT p_members_max)
    FROM members m JOIN conversations c USING (conversation_id)
    WHERE m.conversation_id = p_conversation AND m.user_id = p_actor;
END $$;
