import LockdModel
import Testing

@Suite struct LikenessTests {
    @Test(arguments: [
        ("", "", 0), ("history", "history", 0), ("histroy", "history", 1), ("histry", "history", 1),
        ("hisstory", "history", 1), ("hisxory", "history", 1), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 1),
        ("kitten", "sitting", 3), ("sokcte", "socket", 2),
    ])
    func slipsAreCounted(left: String, right: String, count: Int) {
        #expect(Likeness.slips(left, right) == count)
        #expect(Likeness.slips(right, left) == count)
    }

    @Test func theNearestIsFound() {
        let known = ["ls", "show", "history", "watch", "wait"]
        #expect(Likeness.nearest(to: "histroy", among: known) == "history")
        #expect(Likeness.nearest(to: "wacht", among: known) == "watch")
        #expect(Likeness.nearest(to: "sl", among: known) == "ls")
        #expect(Likeness.nearest(to: "waitch", among: known) == "watch")
        #expect(Likeness.nearest(to: "acquire", among: known) == nil)
        #expect(Likeness.nearest(to: "x", among: known) == nil)
        #expect(Likeness.nearest(to: "x", among: []) == nil)
    }
}
