-- One kind of request by wrk, with each of the tokens in turn. Environment: KIND, TOKENS (a file of "token item_id page" lines).
local rows, turn = {}, 0
for line in io.lines(os.getenv("TOKENS")) do
   local token, item, page = line:match("(%S+) (%S+) ?(%S*)")
   rows[#rows + 1] = { token = token, item = item, page = page }
end
local kind = os.getenv("KIND")
local items = "/api/v1/items"

local function headers(row)
   return { ["Authorization"] = "Bearer " .. row.token, ["Content-Type"] = "application/json" }
end

local kinds = {
   get = function(row) return wrk.format("GET", items .. "/" .. row.item, headers(row)) end,
   list = function(row) return wrk.format("GET", items .. "?limit=20", headers(row)) end,
   page = function(row) return wrk.format("GET", row.page, headers(row)) end,
   post = function(row) return wrk.format("POST", items, headers(row), '{"title": "An item of the benchmark"}') end,
   put = function(row) return wrk.format("PUT", items .. "/" .. row.item, headers(row), '{"title": "A changed title"}') end,
   login = function()
      local body = '{"email": "user1@bench.example", "password": "correct horse battery"}'
      return wrk.format("POST", "/api/v1/auth/login", { ["Content-Type"] = "application/json" }, body)
   end,
}

request = function()
   turn = turn % #rows + 1
   return kinds[kind](rows[turn])
end

done = function(summary, latency)
   local errors = summary.errors
   io.write(string.format('{"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n', summary.requests,
      summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
