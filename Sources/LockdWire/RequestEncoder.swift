import LockdModel

/// Writes request lines.
public enum RequestEncoder {
    /// Appends the line of `request`, its LF included, to `bytes`.
    ///
    /// The values are valid by their types. A duration has to be within what the protocol can ask for, ``LockdModel/Milliseconds/maximum``, and
    /// names of many bytes that need escapes can make an ACQUIRE longer than a line may be, ``LockdModel/ProtocolLimits/lineByteCount``; the daemon
    /// refuses both.
    public static func encode(_ request: TaggedRequest, to bytes: inout [UInt8]) {
        let capacity = LineWriter.longestCapacity(for: textByteCount(of: request.request))
        LineWriter.appendLine(to: &bytes, capacity: capacity) { writer in
            if let tag = request.tag {
                writer.write(tag)
                writer.write(" ")
            }
            write(request.request, to: &writer)
        }
    }

    /// How many bytes the names and texts of `request` have.
    private static func textByteCount(of request: Request) -> Int {
        func count(_ name: LockName?, _ texts: Text?...) -> Int {
            texts.reduce(name?.spelling.utf8.count ?? 0) { $0 + ($1?.spelling.utf8.count ?? 0) }
        }
        return switch request {
        case .hello(let hello): count(nil, hello.client)
        case .acquire(let acquire): acquire.names.spellingByteCount + count(nil, acquire.owner, acquire.note)
        case .release(let name, _), .renew(let name, _, _), .show(let name, _), .history(let name): count(name)
        case .list(let prefix, _), .watch(let prefix): count(prefix)
        case .revoke(let name, _, let reason): count(name, reason)
        case .cancel, .unwatch, .stats, .histograms, .ping, .quit: 0
        }
    }

    private static func write(_ request: Request, to writer: inout LineWriter) {
        switch request {
        case .hello(let hello):
            writer.write("HELLO")
            writer.writeField(" v=", hello.version)
            writer.writeField(" client=", hello.client)
            writer.writeField(" resume=", hello.resume?.value)
        case .acquire(let acquire): write(acquire, to: &writer)
        case .release(let name, let token):
            writer.write("RELEASE ")
            writer.write(name)
            writer.writeField(" token=", token?.value)
        case .renew(let name, let token, let timeToLive):
            writer.write("RENEW ")
            writer.write(name)
            writer.writeField(" token=", token?.value)
            writer.writeField(" ttl=", given: timeToLive)
        case .cancel(let tag):
            writer.write("CANCEL ")
            writer.write(tag)
        case .show(let name, let page):
            writer.write("SHOW ")
            writer.write(name)
            write(page, to: &writer)
        case .list(let prefix, let page):
            writer.write("LIST")
            writer.write(prefix: prefix)
            write(page, to: &writer)
        case .history(let name):
            writer.write("HISTORY ")
            writer.write(name)
        case .watch(let prefix):
            writer.write("WATCH")
            writer.write(prefix: prefix)
        case .unwatch: writer.write("UNWATCH")
        case .revoke(let name, let token, let reason):
            writer.write("REVOKE ")
            writer.write(name)
            writer.writeField(" token=", token?.value)
            writer.writeField(" reason=", reason)
        case .stats: writer.write("STATS")
        case .histograms(let page):
            writer.write("HISTOGRAMS")
            write(page, to: &writer)
        case .ping: writer.write("PING")
        case .quit: writer.write("QUIT")
        }
    }

    private static func write(_ acquire: AcquireTerms, to writer: inout LineWriter) {
        writer.write("ACQUIRE ")
        writer.write(acquire.names)
        switch acquire.wait {
        case .none: writer.write(" wait=0")
        case .after(let duration): writer.writeField(" wait=", given: duration)
        case .never: break
        }
        writer.writeField(" max-queue=", acquire.queueLimit.map(UInt64.init))
        writer.writeField(acquire.holderLimit)
        writer.writeField(" ttl=", given: acquire.timeToLive)
        writer.writeField(" owner=", acquire.owner)
        writer.writeField(" note=", acquire.note)
        writer.writeField(" progress=", given: acquire.progress)
        writer.writeField(" bind=", acquire.binding)
    }

    private static func write(_ page: Request.Page, to writer: inout LineWriter) {
        if let after = page.after {
            writer.write(" after=")
            writer.write(after)
        }
        writer.writeField(" limit=", page.lineLimit.map(UInt64.init))
    }
}
