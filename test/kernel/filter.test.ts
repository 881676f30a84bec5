// Packet filter rules on an older kernel, and one that has nf_tables for bridges only.
import { describeGuest } from "./describe-guest.ts";
import { cases } from "./filter.guest.ts";

describeGuest("packet filter", new URL("filter.guest.ts", import.meta.url), cases);
