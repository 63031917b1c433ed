"""What a decent function of Python does; it ends with an error if it may not."""
import concurrent.futures, http.server, os, socket, ssl, subprocess, tempfile, threading, time, urllib.request

with tempfile.NamedTemporaryFile("w", delete=False) as file:
    file.write("x")
assert subprocess.run(["cat", file.name], capture_output=True, check=True, text=True).stdout == "x"
os.unlink(file.name)
child = subprocess.Popen(["sleep", "60"])
child.terminate()
assert child.wait() == -15


class Pong(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"pong")

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pong)
threading.Thread(target=server.serve_forever, daemon=True).start()
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
    assert answer.read() == b"pong"
try:
    socket.getaddrinfo("greengate.invalid", 80)
    raise SystemExit("found what is not there")
except socket.gaierror:
    pass
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(lambda n: n * n, range(100))) == 328350
ssl.create_default_context()
time.localtime()
socket.socketpair()
print("all went well")
