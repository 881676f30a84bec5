// The kernel of the lane has what the lane is for.
import { cases } from "./boot.guest.ts";
import { describeGuest } from "./describe-guest.ts";

describeGuest("the guest", new URL("boot.guest.ts", import.meta.url), cases);
