import { expect, test } from "vitest";
import { withPosition } from "./locate.ts";

const text = `{
  "name": "net", # what it is called
  "plugins": [
    {"type": "a"},
    {"type": "b", "MTU": "big",
     "ipam": {"ranges": [[{"subnet": 1}]], "a.b": [1,
       2]}}
  ]
}`;

test.each([
  ["$.plugins[0].type: bad", "$", "$.plugins[0].type (line 4, column 14): bad"],
  ["$.mtu: bad", "$.plugins[1]", "$.mtu (line 5, column 26): bad"],
  ["so: $.ipam.ranges[0][0].subnet: bad", "$.plugins[1]", "so: $.ipam.ranges[0][0].subnet (line 6, column 38): bad"],
  ['$.ipam["a.b"][1]: bad', "$.plugins[1]", '$.ipam["a.b"][1] (line 7, column 8): bad'],
  ["$.ipam.ranges[0][0].gateway: missing", "$.plugins[1]", "$.ipam.ranges[0][0].gateway (line 6, column 27): missing"],
  ["$.master: missing", "$.plugins[0]", "$.master (line 4, column 5): missing"],
  ["$.nowhere: missing", "$", "$.nowhere: missing"],
  ["$.mtu: bad", "$.plugins[2]", "$.mtu: bad"],
  ["no path at all", "$", "no path at all"],
  ["line 2, column 3: expected ':' after the name $.name", "$", "line 2, column 3: expected ':' after the name $.name"],
])("%s, below %s: %s", (message, base, want) => {
  expect(withPosition(message, text, base)).toBe(want);
});

test("what is no JSON has no places, and of members with one name the last counts", () => {
  expect(withPosition("$.a: bad", '{\n"a": ')).toBe("$.a: bad");
  expect(withPosition("$.a: bad", '{"a": 1}\n')).toBe("$.a: bad");
  expect(withPosition("$.a: bad", '{"a": 1,\n"A": 2}')).toBe("$.a (line 2, column 6): bad");
});
