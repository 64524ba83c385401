-- wrk's generator: every row uses this one. Arguments: file of signed header blocks, method, path, bytes of body.
local requests, count, at, body = {}, 0, 0, nil

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local start = arguments[2] .. " " .. arguments[3] .. " HTTP/1.1\r\n"
  local size = tonumber(arguments[4])
  if size > 0 then
    start = start .. "Content-Length: " .. size .. "\r\nContent-Type: application/octet-stream\r\n"
    body = string.rep("x", size)
  end
  while true do
    local length = file:read(4)
    if not length then break end
    local a, b, c, d = length:byte(1, 4)
    count = count + 1
    requests[count] = start .. file:read(((a * 256 + b) * 256 + c) * 256 + d) .. "\r\n"
  end
  file:close()
end

function request()
  at = at % count + 1
  if body then return requests[at] .. body end
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"micros":%d,"errors":%d,"p50":%.1f,"p99":%.1f}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
