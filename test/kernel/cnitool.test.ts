// cnitool, and with it libcni, drives the plugins whose links only a guest's kernel has.
import { cases } from "./cnitool.guest.ts";
import { describeComparison } from "./describe-guest.ts";

describeComparison("cnitool", new URL("cnitool.guest.ts", import.meta.url), cases);
