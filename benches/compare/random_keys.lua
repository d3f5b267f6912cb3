-- wrk: each request carries another of the keys; everything but the key is the same.
--   wrk -s random_keys.lua URL -- KEYS METHOD PATH [BODY]
local requests = {}

function init(args)
    local keys, method, path, body_file = args[1], args[2], args[3], args[4]
    local body, headers = nil, { ["Accept"] = "application/json" }
    if body_file then
        body = assert(io.open(body_file, "rb")):read("*a")
        headers["Content-Type"] = "application/json"
    end
    for key in io.lines(keys) do
        headers["Authorization"] = "Bearer " .. key
        requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
    math.randomseed(os.time() + #requests + tonumber(tostring({}):sub(8)))
end

function request()
    return requests[math.random(#requests)]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'JSON {"requests": %d, "seconds": %.6f, "bytes": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\n',
        summary.requests, summary.duration / 1e6, summary.bytes,
        latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
