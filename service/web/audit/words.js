// The actions of the audit log, as people say them.
export const ACTIONS = {
  asked: "asked for it",
  read: "read",
  canceled: "canceled",
  deleted: "deleted",
  expired: "expired",
  held: "held",
  released: "released its hold",
  reviewed: "reviewed",
  link_made: "made a link",
  link_used: "used a link",
  refused: "was refused",
  configured: "changed a webhook",
  started: "started",
  keys_changed: "keys changed",
  audit_read: "read this log",
  unreadable: "not written by Shapshot",
};
