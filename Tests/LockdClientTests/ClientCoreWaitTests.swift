import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// What is told before the answer: how a wait goes, and who waits for whom.
@Suite struct ClientCoreWaitTests {
    private static let holder = "holder-pid=9 holder-uid=5 holder-session=1 held=1ms"
    private static let edge =
        "EDGE a waiter-pid=1 waiter-session=2 holder-pid=9 holder-uid=5 holder-session=1 held=1ms token=3"

    @Test func progressIsToldUntilTheAnswer() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        #expect(fixture.hear("#3 QUEUED a position=2 \(Self.holder) waiters=4") == ["3 waits #2 of 4"])
        #expect(
            fixture.hear("#3 QUEUED a position=1 waiters=3", "#3 GRANTED a token=7")
                == ["3 waits #1 of 3", "3 granted a 7"]
        )
        #expect(fixture.hear("#3 QUEUED a position=1 waiters=3") == [], "it was answered")
    }

    @Test func progressNamesWhoHoldsAndWhere() throws {
        var core = ClientCore(path: "/test.sock")
        let id = core.makeRequestID()
        _ = core.apply(.acquireRequested(id, .to("a b")), at: .init(nanoseconds: 0))
        CoreFixture.greet(&core, 2)
        let line =
            "#1 QUEUED a b position=2 on=b holder-pid=9 holder-uid=5 holder-command=x%1B holder-unit=web.service held=1500ms "
            + "holder-note=half%20done holders=2 waiters=4\n"
        let actions = core.apply(.received(CoreFixture.first, Array(line.utf8)), at: .init(nanoseconds: 0))
        guard case .report(id, let progress) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(progress.lockNames == ["a", "b"])
        #expect(progress.position == 2)
        #expect(progress.blockingName == "b")
        #expect(progress.waiterCount == 4)
        let holder = try #require(progress.holder)
        #expect(holder.processID == 9)
        #expect(holder.userID == 5)
        #expect(holder.command == "x%1B")
        #expect(holder.unit == "web.service")
        #expect(holder.note == "half%20done")
        #expect(holder.held == .milliseconds(1500))
        #expect(holder.count == 2)
    }

    @Test func progressOfACancelledWaitIsNotTold() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.cancel(3)
        #expect(fixture.hear("#3 QUEUED a position=1 waiters=3") == [])
        #expect(fixture.hear("#3 GRANTED a token=7") == ["> #5 RELEASE a token=7"])
    }

    @Test func edgesBelongToTheirDeadlock() throws {
        var core = ClientCore(path: "/test.sock")
        let (first, second) = (core.makeRequestID(), core.makeRequestID())
        for id in [first, second] {
            _ = core.apply(.acquireRequested(id, .to("a")), at: .init(nanoseconds: 0))
        }
        CoreFixture.greet(&core, 3)
        let other =
            "EDGE b%0A waiter-pid=9 waiter-session=1 holder-pid=1 holder-uid=5 holder-owner=o holder-session=2 waited=2ms"
        let lines = [
            "#1 \(Self.edge)", "#2 \(Self.edge)", "#1 \(other)", "#1 DEADLOCK a edges=2", "#2 DEADLOCK a edges=1",
        ]
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        let actions = core.apply(.received(CoreFixture.first, bytes), at: .init(nanoseconds: 0))
        let errors = actions.compactMap { action -> LockdClientError? in
            if case .complete(_, .failed(let error)) = action { error } else { nil }
        }
        #expect(errors.map(\.code) == [.deadlock, .deadlock])
        #expect(errors.map(\.edges.count) == [2, 1])
        let edges = try #require(errors.first?.edges)
        #expect(edges.map(\.lockName) == ["a", "b\n"])
        #expect(edges[0].obstacle == .lease(held: .milliseconds(1), token: 3))
        #expect(edges[1].obstacle == .request(waited: .milliseconds(2)))
        #expect(
            errors[0].description
                == #"lock "a" would never be granted: whoever has it waits for the owner that asks (pid 1 waits for "a", "#
                + #"held by pid 9 with token 3; pid 9 waits for "b\#u{FFFD}" behind pid 1 (owner o)); "#
                + "release what that owner holds, so that it can become free"
        )
    }

    @Test func edgesOfACancelledRequestAreForgotten() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.hear("#3 \(Self.edge)")
        _ = fixture.cancel(3)
        #expect(fixture.hear("#3 \(Self.edge)", "#3 DEADLOCK a edges=2") == [])
        #expect(fixture.core.edges == [:])
    }

    @Test func endlessEdgesAreNotCollected() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        for _ in 0..<500 { #expect(fixture.hear("#3 \(Self.edge)") == []) }
        #expect(fixture.hear("#3 \(Self.edge)") == ["shut down 1", "3 incompatibleDaemon"])
        #expect(fixture.core.edges == [:])
    }

    @Test(arguments: ["QUEUED a position=1 waiters=1", edge, "DEADLOCK a edges=0"])
    func whatIsNotAskedForDoesNotBelong(_ reply: String) {
        var fixture = CoreFixture.connected()
        _ = fixture.ping()
        #expect(fixture.hear("#3 \(reply)") == ["shut down 1", "3 incompatibleDaemon"])
    }
}
