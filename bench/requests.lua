-- wrk's requests, written down by bench/load.py: a header file ("Name: value" a line), then a body file or "-", then a token file or "-".
-- Each token of the file is sent once; when they have run out the header is empty, which the server refuses and bench/load.py reports.
local made, sent = nil, 0

function init(args)
  for line in io.lines(args[1]) do
    local name, value = line:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  if args[2] ~= "-" then
    wrk.method, wrk.body = "POST", io.open(args[2]):read("*a")
  end
  if args[3] ~= "-" then
    made = {}
    for token in io.lines(args[3]) do
      wrk.headers["Authorization"] = "Bearer " .. token
      made[#made + 1] = wrk.format()
    end
    wrk.headers["Authorization"] = ""
    request = function()
      sent = sent + 1
      return made[sent] or spent
    end
  end
  spent = wrk.format()
end
