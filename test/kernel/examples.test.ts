// The examples that need a second NIC, and kinds of links that this machine's kernel may lack, played by the executable.
import { describeGuest } from "./describe-guest.ts";
import { cases } from "./examples.guest.ts";

describeGuest("conf-examples/eth1", new URL("examples.guest.ts", import.meta.url), cases, { modules: ["ipv6"] });
