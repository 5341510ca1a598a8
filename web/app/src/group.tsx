/** Groups, where they are shown. */

import type { Group, GroupPermission } from "chat-client";
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

/** The first letter of a group's name, or its picture. */
export function GroupAvatar({ id, group, isLarge = false }: { id: string; group: Group; isLarge?: boolean }) {
  return <Picture id={id} name={group.name} url={group.avatarUrl} isLarge={isLarge} isGroup />;
}
