-- What users decide about themselves.

CREATE TABLE user_settings (
    user_id      text COLLATE "C" PRIMARY KEY,
    -- Who may make them a member of a group without asking them.
    group_adders text NOT NULL CHECK (group_adders IN ('friends', 'anyone', 'nobody'))
);

-- Those of these users whom the actor may make members of a group, by user id: friends, unless a user says otherwise.
CREATE OR REPLACE FUNCTION friends_among(p_actor text, p_users text[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT u FROM unnest(p_users) u LEFT JOIN user_settings s ON s.user_id = u
        WHERE CASE coalesce(s.group_adders, 'friends')
            WHEN 'anyone' THEN true
            WHEN 'nobody' THEN false
            ELSE EXISTS (SELECT FROM friends f WHERE f.user_id = p_actor AND f.other_id = u AND f.state = 'accepted')
        END
        ORDER BY u COLLATE "C")
$$;

-- Changes a user's settings; null leaves one as it is. `wait_us` is above 0 when they write too often and nothing was done.
CREATE FUNCTION update_user_settings(p_actor text, p_group_adders text, p_call_us bigint, p_burst_us bigint)
RETURNS TABLE (group_adders text, wait_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    wait_us := budget_wait(p_actor, 'write', p_burst_us);
    IF wait_us = 0 THEN
        INSERT INTO user_settings AS s (user_id, group_adders) VALUES (p_actor, coalesce(p_group_adders, 'friends'))
        ON CONFLICT (user_id) DO UPDATE SET group_adders = coalesce(p_group_adders, s.group_adders)
        RETURNING s.group_adders INTO group_adders;
        PERFORM use_budget(p_actor, 'write', p_call_us);
    END IF;
    RETURN NEXT;
END $$;
