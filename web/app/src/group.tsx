/** Groups, where they are shown. */

import { type Group, type GroupPermission, NAMED_MEMBERS_MAX } from "chat-client";
import { Picture } from "./parts.tsx";

/** Whether the person may do something in a group. */
export function may({ role, settings }: Group, permission: GroupPermission): boolean {
  const { memberPermissions, adminPermissions } = settings;
  return (
    role === "owner" ||
    memberPermissions.includes(permission) ||
    (role === "admin" && adminPermissions.includes(permission))
  );
}

/** Whether it has so many members that nobody is told of all of them, nor of who has read what. */
export function hasManyMembers({ memberCount }: Group): boolean {
  return memberCount > NAMED_MEMBERS_MAX;
}

/** The first letter of a group's name, or its picture. */
export function GroupAvatar({ id, group, isLarge = false }: { id: string; group: Group; isLarge?: boolean }) {
  return <Picture id={id} name={group.name} url={group.avatarUrl} isLarge={isLarge} isGroup />;
}
