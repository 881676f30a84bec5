// macvlan on an older kernel, and beside kinds of links that not every kernel has.
import { describeGuest } from "./describe-guest.ts";
import { cases } from "./macvlan.guest.ts";

describeGuest("macvlan", new URL("macvlan.guest.ts", import.meta.url), cases);
