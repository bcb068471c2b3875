import Glibc
import Testing

@testable import LockdClient

/// What is written together, and what goes along with a descriptor.
@Suite struct OutputQueueTests {
    private let descriptor = Descriptor(owning: dup(STDERR_FILENO))

    private func queue(_ lines: (String, Descriptor?)...) -> OutputQueue {
        var queue = OutputQueue()
        for (line, descriptor) in lines { queue.append(with: descriptor) { $0 += Array(line.utf8) } }
        queue.open()
        return queue
    }

    private func take(_ queue: inout OutputQueue) -> String? {
        queue.takeNext().map { ($0.descriptor == nil ? "" : "+") + String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test func lineWithADescriptorIsWrittenOnItsOwn() {
        var queue = queue(("a", nil), ("b", nil), ("c", descriptor), ("d", descriptor), ("e", nil), ("f", nil))
        var taken: [String] = []
        while let message = queue.takeNext() {
            taken.append((message.descriptor == nil ? "" : "+") + String(decoding: message.bytes, as: UTF8.self))
            queue.sent(message.bytes.count)
        }
        #expect(taken == ["ab", "+c", "+d", "ef"])
    }

    @Test func descriptorGoesAlongWithTheFirstByteThatIsTaken() {
        var queue = queue(("abc", descriptor), ("d", nil))
        #expect(take(&queue) == "+abc")
        #expect(take(&queue) == nil, "somebody writes")
        queue.sent(0)
        #expect(queue.isFull)
        queue.becameWritable()
        #expect(take(&queue) == "+abc")
        queue.sent(1)
        queue.becameWritable()
        #expect(take(&queue) == "bcd")
    }

    @Test func restGoesOutBeforeALineWithADescriptor() {
        var queue = queue(("ab", nil), ("c", descriptor))
        #expect(take(&queue) == "ab")
        queue.sent(1)
        queue.becameWritable()
        #expect(take(&queue) == "b")
        queue.sent(1)
        #expect(take(&queue) == "+c")
    }

    @Test func whatIsWrittenIsClosedAndWhatNeverWillBeToo() {
        weak var sent: Descriptor?
        weak var dropped: Descriptor?
        var queue = OutputQueue()
        func append(_ line: String) -> Descriptor {
            let descriptor = Descriptor(owning: dup(STDERR_FILENO))
            queue.append(with: descriptor) { $0 += Array(line.utf8) }
            return descriptor
        }
        sent = append("a")
        dropped = append("b")
        queue.open()
        _ = queue.takeNext()
        #expect(sent != nil)
        queue.sent(1)
        #expect(sent == nil)
        #expect(dropped != nil)
        queue.breakOff()
        #expect(dropped == nil)
    }
}
