-- While the migrations before this one are made, one by one, functions of several versions count members, or do not. From here on
-- all count; nobody is in the middle of a call.
LOCK TABLE conversations IN EXCLUSIVE MODE;

UPDATE conversations c SET member_count = m.present
FROM (
    SELECT c.conversation_id, count(m.user_id) FILTER (WHERE m.ended_at IS NULL) AS present
    FROM conversations c LEFT JOIN members m USING (conversation_id)
    WHERE c.kind = 'group' GROUP BY c.conversation_id
) m
WHERE m.conversation_id = c.conversation_id AND c.member_count <> m.present;
